use super::*;
use crate::app::App;
use object::write::{Object as NewObject, Relocation, StandardSection, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope, elf,
};

/// A host of a few sections: `_start` reads the image table; two functions, of which an image takes one; a PVH note.
fn host(arch: Arch) -> Vec<u8> {
    let (architecture, absolute) = match arch {
        Arch::X86_64 => (Architecture::X86_64, elf::R_X86_64_64),
        Arch::Aarch64 => (Architecture::Aarch64, elf::R_AARCH64_ABS64),
    };
    let mut object = NewObject::new(BinaryFormat::Elf, architecture, Endianness::Little);
    let mut function = |name: &str, fill: u8| {
        let section = object.add_section(vec![], format!(".text.{name}").into_bytes(), SectionKind::Text);
        object.append_section_data(section, &[fill; 64], 16);
        let symbol = Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: 64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        };
        (section, object.add_symbol(symbol))
    };
    let (start, _) = function("_start", 1);
    function("mwasm:wasi:cli/exit/0.2#exit", 2);
    function("mwasm:wasi:cli/exit/0.2#exit-with-code", 3);
    function("mwasm:wasi:sockets/tcp-create-socket/0.2#create-tcp-socket", 4);
    function(names::REFUSED_FUNCTION, 5);
    function(names::PORT_NETWORK, 6);
    function(names::PORT_NETWORK_TAP, 7);
    function(names::START_RUN, 8);
    function(names::START_SERVE_02, 9);
    function(names::PORT_LINK, 10);
    function(names::START_RUN_NETWORKED, 11);
    let image = object.add_symbol(Symbol {
        name: names::IMAGE.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Unknown,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    let flags = RelocationFlags::Elf { r_type: absolute };
    object.add_relocation(start, Relocation { offset: 8, symbol: image, addend: 0, flags }).unwrap();
    let bss = object.section_id(StandardSection::UninitializedData);
    object.append_section_bss(bss, 0x3000, 16);
    let note = object.add_section(vec![], b".note.pvh".to_vec(), SectionKind::Note);
    object.section_mut(note).flags = object::SectionFlags::Elf { sh_flags: u64::from(elf::SHF_ALLOC) };
    object.append_section_data(
        note,
        &[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0, 0, 0, 16, 0, 0, 0, 0, 0],
        4,
    );
    object.write().unwrap()
}

/// An app that calls `function` of `wasi:cli/exit`.
fn native(arch: Arch, function: &str) -> Native {
    let text = format!(
        r#"(component
            (import "wasi:cli/exit@0.2.6" (instance $exit (export "{function}" (func (param "status" (result))))))
            (core func $exit (canon lower (func $exit "{function}")))
            (core module $m (import "" "exit" (func $exit (param i32))) (memory 1) (data (i32.const 0) "data")
                (func $double (export "double") (param i32) (result i32)
                    (call $exit (i32.const 0)) (i32.add (local.get 0) (local.get 0))))
            (core instance (instantiate $m (with "" (instance (export "exit" (func $exit)))))))"#
    );
    let app = App { name: "app".into(), sha256: String::new(), component: wat::parse_str(text).unwrap() };
    crate::compile::compile(&app, arch, false, &mut Report::new(Target::Desktop, arch)).unwrap()
}

fn fused(target: Target, arch: Arch) -> Image {
    let plan = Plan { name: "app", ..Plan::default() };
    fuse_with(host(arch), &native(arch, "exit"), &plan, target, arch).unwrap()
}

const ALL: [(Target, Arch); 4] = [
    (Target::Desktop, Arch::X86_64),
    (Target::Desktop, Arch::Aarch64),
    (Target::Xen, Arch::X86_64),
    (Target::Arm, Arch::Aarch64),
];

#[test]
fn an_image_has_what_it_needs_and_no_more() {
    for (target, arch) in ALL {
        let image = fused(target, arch);
        let has = |fill: u8| image.bytes.windows(24).any(|bytes| bytes == [fill; 24]);
        assert!(has(1) && has(2), "{target}: entry and the function that is called");
        assert!(!has(3), "{target}: a function that is not called");
        let plan = Plan::decode(mwasm_plan::find(&image.bytes).unwrap()).unwrap();
        assert_eq!(plan.name, "app");
    }
}

/// An app that asks for a TCP socket.
fn socket_app(arch: Arch) -> Native {
    let text = r#"(component
        (import "wasi:sockets/tcp-create-socket@0.2.6" (instance $sockets (export "create-tcp-socket" (func))))
        (core func $create (canon lower (func $sockets "create-tcp-socket")))
        (core module $m (import "" "create" (func $create)) (func (export "run") (call $create)))
        (core instance (instantiate $m (with "" (instance (export "create" (func $create)))))))"#;
    let app = App { name: "app".into(), sha256: String::new(), component: wat::parse_str(text).unwrap() };
    crate::compile::compile(&app, arch, false, &mut Report::new(Target::Desktop, arch)).unwrap()
}

/// The network comes with a grant, not with an import: real functions and the port, or a refusal and no port.
#[test]
fn only_who_is_granted_something_has_the_network() {
    use mwasm_plan::net::{Listen, Net, Policy};
    let granted = Policy { listen: vec![Listen::parse("tcp:7").unwrap()], ..Policy::default() };
    let tap = Net { tap: "tap0", ..Net::default() };
    let serves = Entry::Serve02("wasi:http/incoming-handler@0.2.3");
    let run = Entry::None;
    // 4: the function, 5: its refusal, 6: the port, 7: the port on a TAP device; 8, 9: the start; 10: the port of frames;
    // 11: the start of a program with a network.
    let table = [
        (true, run, Policy::default(), Net::default(), &[5, 8][..]),
        (true, run, granted.clone(), Net::default(), &[4, 6, 11]),
        (true, run, granted.clone(), tap.clone(), &[4, 7, 11]),
        (true, run, Policy { loopback: true, ..Policy::default() }, Net::default(), &[4, 6, 11]),
        (true, run, Policy { link: "eth0", ..Policy::default() }, tap.clone(), &[4, 10, 11]),
        (false, run, granted.clone(), tap, &[8]),
        (false, serves, granted, Net::default(), &[6, 9]),
    ];
    for (uses_sockets, entry, policy, net, wanted) in table {
        let arch = Arch::X86_64;
        let native = if uses_sockets { socket_app(arch) } else { native(arch, "exit") };
        let plan = Plan { entry, policy: policy.clone(), net: net.clone(), ..Plan::default() };
        let image = fuse_with(host(arch), &native, &plan, Target::Desktop, arch).unwrap();
        let has = |fill: &u8| image.bytes.windows(24).any(|bytes| bytes == [*fill; 24]);
        let found: Vec<u8> = (4..=11).filter(has).collect();
        assert_eq!(found, wanted, "{uses_sockets} {entry:?} {policy:?} {net:?}");
    }
}

#[test]
fn elf_images_are_minimal_executables() {
    for (target, arch) in ALL.into_iter().filter(|(target, _)| *target != Target::Arm) {
        let image = fused(target, arch);
        let file = object::File::parse(&*image.bytes).unwrap();
        assert_eq!(file.kind(), object::ObjectKind::Executable);
        assert_eq!(file.sections().count(), 0);
        let kinds: Vec<u32> = program_headers(&image.bytes).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds[0], elf::PT_PHDR, "hosts of bare machines look for it there");
        assert!(target == Target::Desktop || kinds.contains(&elf::PT_NOTE), "{target} {kinds:?}");
        assert!(
            program_headers(&image.bytes).iter().all(|(kind, flags)| *kind != elf::PT_LOAD || flags & 3 != 3),
            "W^X"
        );
    }
}

fn program_headers(image: &[u8]) -> Vec<(u32, u32)> {
    use object::read::elf::{FileHeader, ProgramHeader};
    let header = elf::FileHeader64::<Endianness>::parse(image).unwrap();
    let endian = header.endian().unwrap();
    let headers = header.program_headers(endian, image).unwrap();
    headers.iter().map(|header| (header.p_type(endian), header.p_flags(endian))).collect()
}

#[test]
fn the_arm_image_is_flat_and_branches_to_its_entry() {
    let image = fused(Target::Arm, Arch::Aarch64);
    assert_eq!(image.bytes[56..60], *b"ARMd");
    let branch = u32::from_le_bytes(image.bytes[..4].try_into().unwrap());
    assert_eq!(branch >> 26, 0b000101);
    let entry = (branch & 0x3ff_ffff) as usize * 4;
    assert_eq!(image.bytes[entry..entry + 4], [1; 4]);
    let memory = u64::from_le_bytes(image.bytes[16..24].try_into().unwrap());
    assert_eq!(memory, image.memory_bytes);
    assert_eq!(image.bytes[64..68], elf::PT_PHDR.to_le_bytes(), "the program headers stay behind the boot header");
}

#[test]
fn equal_inputs_give_equal_bytes() {
    for (target, arch) in ALL {
        assert_eq!(fused(target, arch).bytes, fused(target, arch).bytes, "{target}");
    }
}

#[test]
fn the_size_map_counts_every_byte_once() {
    for (target, arch) in ALL {
        let image = fused(target, arch);
        let (map, map_bytes) = map::find(&image.bytes).unwrap();
        assert_eq!(map.bytes as usize + map_bytes, image.bytes.len(), "{target}");
        let app = map.children.iter().find(|node| node.name == "app").unwrap();
        let code = app.children.iter().find(|node| node.name == "code").unwrap();
        assert!(code.children.iter().any(|function| function.name == "double"), "{code:?}");
        assert_eq!(image.parts().iter().map(|part| part.bytes).sum::<u64>() as usize, image.bytes.len());
    }
}

#[test]
fn a_function_that_the_host_lacks_is_named() {
    let plan = Plan { name: "app", ..Plan::default() };
    let arch = Arch::X86_64;
    let later = native(arch, "exit-at-dawn");
    let error = fuse_with(host(arch), &later, &plan, Target::Desktop, arch).unwrap_err();
    assert!(error.to_string().contains("'exit-at-dawn' of 'wasi:cli/exit@0.2.6'"), "{error:#}");
}
