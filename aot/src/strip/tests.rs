//! Whole components through the stage: what goes, what stays, what must not change.

use super::component::Model;
use super::core_refs::CoreSpace;
use super::{ImportReport, Outcome, Stripped, strip};
use wasmparser::{Validator, WasmFeatures};

/// Strips a component in text form, and checks what must always hold.
fn stripped(text: &str) -> Stripped {
    let bytes = wat::parse_str(text).unwrap();
    let validate = |bytes: &[u8]| Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).map(drop);
    validate(&bytes).unwrap();
    let stripped = strip(&bytes).unwrap();
    assert_eq!(stripped.report.unchanged_because, None);
    validate(&stripped.component).unwrap();
    let again = strip(&stripped.component).unwrap();
    assert_eq!(again.component, stripped.component, "what is stripped has nothing left to strip");
    stripped
}

fn import<'s>(stripped: &'s Stripped, function: &str) -> &'s ImportReport {
    let named = |import: &&ImportReport| import.function.as_deref().unwrap_or(&import.interface) == function;
    stripped.report.imports.iter().find(named).unwrap()
}

/// The names of the root's imports.
fn imports(stripped: &Stripped) -> Vec<String> {
    let model = Model::parse(&stripped.component).unwrap();
    let imports = model.component(super::component::ROOT).defs.iter().filter_map(|def| match def {
        super::component::Def::Import(import) => Some(import.name.name.to_string()),
        _ => None,
    });
    imports.collect()
}

#[test]
fn an_import_that_nothing_calls_goes_with_its_interface() {
    let stripped = stripped(
        r#"(component
            (import "a:b/used" (instance $used
                (export "go" (func)) (export "stay" (func))))
            (import "a:b/unused" (instance $unused (export "go" (func))))
            (core func $used-go (canon lower (func $used "go")))
            (core func $used-stay (canon lower (func $used "stay")))
            (core func $unused-go (canon lower (func $unused "go")))
            (core module $main
                (import "used" "go" (func $go))
                (import "used" "stay" (func $stay))
                (import "unused" "go" (func $other))
                (func $run (export "run") call $inner)
                (func $inner call $go)
                (func $forgotten call $stay call $other))
            (core instance $i (instantiate $main
                (with "used" (instance (export "go" (func $used-go)) (export "stay" (func $used-stay))))
                (with "unused" (instance (export "go" (func $unused-go))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    assert_eq!(imports(&stripped), ["a:b/used"]);
    let report = &stripped.report;
    assert_eq!(report.modules[0].before.functions, 6);
    assert_eq!(report.modules[0].after.functions, 3);
    let go = report.imports.iter().find(|i| i.kept).unwrap();
    assert_eq!(go.chain, ["export run", "main::run", "main::inner"]);
    assert_eq!(
        import(&stripped, "stay").reason.as_deref(),
        Some("only called from code that nothing reaches, such as main::forgotten")
    );
    let outcomes: Vec<_> = report.interfaces.iter().map(|i| (i.name.as_str(), i.outcome)).collect();
    assert_eq!(outcomes, [("a:b/used", Outcome::Kept), ("a:b/unused", Outcome::Dropped)]);
    assert_eq!(report.bytes_after, stripped.component.len());
}

/// wit-component calls a lowered import through a slot of the shim's table, because the import can only be lowered once
/// the memory of the main module exists.
const SHIM: &str = r#"(component
    (import "a" (func $a (param "x" string)))
    (import "b" (func $b (param "x" string)))
    (import "c" (func $c (param "x" string)))
    (core module $shim
        (type $t (func (param i32 i32)))
        (table (export "$imports") 3 3 funcref)
        (func (export "0") (type $t) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 0)))
        (func (export "1") (type $t) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 1)))
        (func (export "2") (type $t) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 2))))
    (core module $fixups
        (type $t (func (param i32 i32)))
        (import "" "0" (func (type $t)))
        (import "" "1" (func (type $t)))
        (import "" "2" (func (type $t)))
        (import "" "$imports" (table 3 3 funcref))
        (elem (i32.const 0) func 0 1 2))
    (core module $main
        (type $t (func (param i32 i32)))
        (import "" "a" (func $a (type $t)))
        (import "" "b" (func $b (type $t)))
        (import "" "c" (func $c (type $t)))
        (memory (export "memory") 1)
        (func (export "run") (call $a (i32.const 0) (i32.const 0)) (call $c (i32.const 0) (i32.const 0)))
        (func (export "other") (call $b (i32.const 0) (i32.const 0))))
    (core instance $shim (instantiate $shim))
    (core instance $main (instantiate $main (with "" (instance
        (export "a" (func $shim "0")) (export "b" (func $shim "1")) (export "c" (func $shim "2"))))))
    (core func $la (canon lower (func $a) (memory (core memory $main "memory"))))
    (core func $lb (canon lower (func $b) (memory (core memory $main "memory"))))
    (core func $lc (canon lower (func $c) (memory (core memory $main "memory"))))
    (core instance $fixups (instantiate $fixups (with "" (instance
        (export "$imports" (table $shim "$imports"))
        (export "0" (func $la)) (export "1" (func $lb)) (export "2" (func $lc))))))
    (func (export "run") (canon lift (core func $main "run"))))"#;

#[test]
fn slots_that_are_called_by_number_live_and_die_one_by_one() {
    let stripped = stripped(SHIM);
    assert_eq!(imports(&stripped), ["a", "c"]);
    let [shim, fixups, main] = &stripped.report.modules[..] else { panic!("three modules") };
    assert_eq!((shim.before.functions, shim.after.functions), (3, 2));
    assert_eq!((main.before.functions, main.after.functions), (5, 3));
    // The segment loses its middle, and is two.
    assert_eq!((fixups.after.element_segments, fixups.after.elements), (2, 2));
}

#[test]
fn a_shim_that_nobody_calls_is_not_even_instantiated() {
    let stripped =
        stripped(&SHIM.replace("(call $a (i32.const 0) (i32.const 0)) (call $c (i32.const 0) (i32.const 0))", ""));
    assert_eq!(imports(&stripped), Vec::<String>::new());
    let model = Model::parse(&stripped.component).unwrap();
    assert_eq!(model.modules.len(), 1);
    assert_eq!(stripped.report.modules[0].after.bytes, 0);
}

/// A component around one core module without imports, whose export `run` is lifted.
fn around(module: &str) -> String {
    format!(
        r#"(component
            (core module $m {module})
            (core instance $i (instantiate $m))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#
    )
}

fn only_module(stripped: &Stripped) -> (super::Counts, super::Counts) {
    let [module] = &stripped.report.modules[..] else { panic!("one module") };
    (module.before, module.after)
}

#[test]
fn a_computed_call_reaches_the_functions_of_its_type_and_stubs_fill_the_other_slots() {
    let stripped = stripped(&around(
        r#"(type $t (func (param i32) (result i32)))
           (table 5 funcref)
           (elem (i32.const 1) func $same $other $other2 $same2)
           (func $same (type $t) local.get 0)
           (func $same2 (type $t) i32.const 2)
           (func $other (param i64) call $deep)
           (func $other2 (param i64) call $deep)
           (func $deep)
           (func (export "run") (type $t) (call_indirect (type $t) (local.get 0) (local.get 0)))"#,
    ));
    let (before, after) = only_module(&stripped);
    assert_eq!(before.functions, 6);
    assert_eq!(after.functions, 4, "run, two of the type, and one stub for both others");
    assert_eq!(after.elements, 4, "a slot that becomes empty would trap in another way");
}

#[test]
fn reading_a_table_reaches_all_of_it() {
    let stripped = stripped(&around(
        r#"(type $t (func (param i32) (result i32)))
           (table 2 funcref)
           (elem (i32.const 0) func $a $b)
           (func $a)
           (func $b (param i64))
           (func (export "run") (type $t) (ref.is_null (table.get (local.get 0))))"#,
    ));
    assert_eq!(only_module(&stripped).1.functions, 3);
}

/// The second segment empties slot 0: dropping its null along with the "dead" slot would bring `$f` back, and a call
/// that used to trap would succeed.
#[test]
fn a_null_that_overwrites_a_slot_stays() {
    let stripped = stripped(&around(
        r#"(type $t (func (param i32) (result i32)))
           (table 2 funcref)
           (elem (i32.const 0) func $f)
           (elem (i32.const 0) funcref (ref.null func))
           (func $f (type $t) local.get 0)
           (func (export "run") (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0)))"#,
    ));
    assert_eq!(only_module(&stripped).1.element_segments, 2);
}

#[test]
fn dropping_a_segment_does_not_keep_it() {
    let stripped = stripped(&around(
        r#"(memory 1)
           (data $used "used")
           (data $unused "never copied")
           (elem $e func $f)
           (func $f)
           (func (export "run") (param i32) (result i32)
               (memory.init $used (i32.const 0) (i32.const 0) (i32.const 4))
               data.drop $unused
               data.drop $used
               elem.drop $e
               (i32.load (i32.const 0)))"#,
    ));
    let (_, after) = only_module(&stripped);
    assert_eq!((after.data_segments, after.element_segments, after.functions), (1, 0, 1));
}

#[test]
fn a_segment_that_traps_at_the_start_stays() {
    let stripped = stripped(&around(
        r#"(memory 1)
           (table 1 funcref)
           (data (i32.const 65536) "out of bounds")
           (elem (i32.const 1) func $f)
           (func $f)
           (func (export "run") (param i32) (result i32) i32.const 0)"#,
    ));
    let (_, after) = only_module(&stripped);
    assert_eq!((after.data_segments, after.element_segments), (1, 1));
    assert_eq!((after.memories, after.tables), (1, 1));
}

#[test]
fn memories_tables_and_globals_that_nothing_uses_go_with_their_segments() {
    let stripped = stripped(&around(
        r#"(memory 1)
           (table 1 funcref)
           (global $g (mut i32) (i32.const 0))
           (global $unused (mut i32) (i32.const 0))
           (data (i32.const 0) "in bounds")
           (elem (i32.const 0) func $f)
           (func $f)
           (func (export "run") (param i32) (result i32) global.get $g)"#,
    ));
    let (_, after) = only_module(&stripped);
    assert_eq!((after.memories, after.tables, after.globals), (0, 0, 1));
    assert_eq!((after.data_segments, after.element_segments, after.functions), (0, 0, 1));
}

#[test]
fn a_function_whose_reference_is_taken_stays_declared() {
    // $f is declared only by a segment of a table that goes.
    let stripped = stripped(&around(
        r#"(type $t (func (param i32) (result i32)))
           (table 1 funcref)
           (elem (i32.const 0) func $f)
           (func $f (type $t) local.get 0)
           (func (export "run") (type $t) (call_ref $t (local.get 0) (ref.func $f)))"#,
    ));
    let (_, after) = only_module(&stripped);
    assert_eq!((after.functions, after.tables), (2, 0));
}

#[test]
fn a_start_function_runs_even_if_nothing_is_exported_from_its_module() {
    let stripped = stripped(
        r#"(component
            (import "effect" (func $effect))
            (core func $lowered (canon lower (func $effect)))
            (core module $m (import "" "effect" (func $e)) (func $s call $e) (start $s))
            (core module $never (import "" "effect" (func $e)) (func $s call $e) (start $s))
            (core instance (instantiate $m (with "" (instance (export "effect" (func $lowered)))))))"#,
    );
    assert_eq!(import(&stripped, "effect").chain, ["start of m", "m::s"]);
    assert_eq!(stripped.report.modules[1].after.bytes, 0);
}

#[test]
fn a_module_that_is_instantiated_twice_keeps_what_either_instance_needs() {
    let stripped = stripped(
        r#"(component
            (import "one" (func $one))
            (import "two" (func $two))
            (core func $l1 (canon lower (func $one)))
            (core func $l2 (canon lower (func $two)))
            (core module $m
                (import "" "f" (func $f))
                (func (export "call") call $f)
                (func (export "idle")))
            (core instance $first (instantiate $m (with "" (instance (export "f" (func $l1))))))
            (core instance $second (instantiate $m (with "" (instance (export "f" (func $l2))))))
            (func (export "run") (canon lift (core func $first "call")))
            (func (export "idle") (canon lift (core func $second "idle"))))"#,
    );
    assert_eq!(imports(&stripped), ["one", "two"]);
}

#[test]
fn a_composition_asks_the_inner_component_only_for_what_the_outer_one_calls() {
    let stripped = stripped(
        r#"(component
            (import "a:b/host" (instance $host (export "low" (func)) (export "high" (func))))
            (component $provider
                (import "a:b/host" (instance $host (export "low" (func)) (export "high" (func))))
                (core func $low (canon lower (func $host "low")))
                (core func $high (canon lower (func $host "high")))
                (core module $m
                    (import "" "low" (func $low))
                    (import "" "high" (func $high))
                    (func (export "low") call $low)
                    (func (export "high") call $high))
                (core instance $i (instantiate $m (with "" (instance
                    (export "low" (func $low)) (export "high" (func $high))))))
                (func $l (canon lift (core func $i "low")))
                (func $h (canon lift (core func $i "high")))
                (instance $out (export "low" (func $l)) (export "high" (func $h)))
                (export "a:b/api" (instance $out)))
            (component $app
                (import "a:b/api" (instance $api (export "low" (func)) (export "high" (func))))
                (core func $low (canon lower (func $api "low")))
                (core func $high (canon lower (func $api "high")))
                (core module $m
                    (import "" "low" (func $low))
                    (import "" "high" (func $high))
                    (func (export "run") call $low)
                    (func (export "unused") call $high))
                (core instance $i (instantiate $m (with "" (instance
                    (export "low" (func $low)) (export "high" (func $high))))))
                (func (export "run") (canon lift (core func $i "run")))
                (func (export "unused") (canon lift (core func $i "unused"))))
            (instance $p (instantiate $provider (with "a:b/host" (instance $host))))
            (alias export $p "a:b/api" (instance $api))
            (instance $a (instantiate $app (with "a:b/api" (instance $api))))
            (export "run" (func $a "run")))"#,
    );
    assert!(import(&stripped, "low").kept);
    assert!(!import(&stripped, "high").kept);
    assert_eq!(stripped.report.modules[0].after.functions, 2);
    assert_eq!(stripped.report.modules[1].after.functions, 2);
}

#[test]
fn an_exported_component_is_kept_whole() {
    let stripped = stripped(
        r#"(component
            (component $inner
                (import "f" (func $f))
                (core func $l (canon lower (func $f)))
                (core module $m
                    (import "" "f" (func $f))
                    (func $unused call $f)
                    (func (export "run")))
                (core instance $i (instantiate $m (with "" (instance (export "f" (func $l))))))
                (func (export "run") (canon lift (core func $i "run"))))
            (export "inner" (component $inner)))"#,
    );
    assert_eq!(only_module(&stripped).1.functions, 3);
}

#[test]
fn a_module_that_something_unknown_instantiates_is_kept_whole() {
    let stripped = stripped(
        r#"(component
            (import "linker" (component $linker
                (import "m" (core module (export "run" (func))))
                (export "run" (func))))
            (core module $m (func $unused) (func (export "run")))
            (instance $i (instantiate $linker (with "m" (core module $m))))
            (export "run" (func $i "run")))"#,
    );
    assert_eq!(only_module(&stripped).1.functions, 2);
}

#[test]
fn a_resource_keeps_its_destructor() {
    let stripped = stripped(
        r#"(component
            (core module $m
                (func (export "dtor") (param i32))
                (func (export "make") (result i32) i32.const 1)
                (func (export "unused")))
            (core instance $i (instantiate $m))
            (type $r' (resource (rep i32) (dtor (core func $i "dtor"))))
            (export $r "r" (type $r'))
            (func (export "make") (result (own $r)) (canon lift (core func $i "make"))))"#,
    );
    assert_eq!(only_module(&stripped).1.functions, 2);
}

#[test]
fn an_interface_that_lends_only_a_type_is_reported_as_such() {
    let stripped = stripped(
        r#"(component
            (import "a:b/error" (instance $error
                (export "error" (type (sub resource)))
                (export "text" (func))))
            (alias export $error "error" (type $e))
            (import "a:b/io" (instance $io
                (alias outer 1 $e (type $outer))
                (export "error" (type $e (eq $outer)))
                (export "look" (func (param "e" (borrow $e))))
                (export "idle" (func))))
            (core func $look (canon lower (func $io "look")))
            (core module $m
                (import "" "look" (func $look (param i32)))
                (func (export "run") (call $look (i32.const 0))))
            (core instance $i (instantiate $m (with "" (instance (export "look" (func $look))))))
            (func (export "run") (canon lift (core func $i "run"))))"#,
    );
    let outcomes: Vec<_> = stripped.report.interfaces.iter().map(|i| i.outcome).collect();
    assert_eq!(outcomes, [Outcome::TypesOnly, Outcome::Kept]);
    assert!(!import(&stripped, "idle").kept);
}

/// wasm-encoder 0.254 copies the type index of the cancel built-ins as it is: here it has to fall from 2 to 0.
#[test]
fn types_of_the_cancel_built_ins_are_renumbered() {
    let stripped = stripped(
        r#"(component
            (type (record (field "unused" u32)))
            (type (record (field "unused" u64)))
            (type $s (stream u8))
            (type $f (future u8))
            (core func $sr (canon stream.cancel-read $s))
            (core func $sw (canon stream.cancel-write $s async))
            (core func $fr (canon future.cancel-read $f))
            (core func $fw (canon future.cancel-write $f))
            (core module $m
                (import "" "sr" (func $sr (param i32) (result i32)))
                (import "" "sw" (func $sw (param i32) (result i32)))
                (import "" "fr" (func $fr (param i32) (result i32)))
                (import "" "fw" (func $fw (param i32) (result i32)))
                (func (export "run") (param i32) (result i32)
                    (call $sr (call $sw (call $fr (call $fw (local.get 0)))))))
            (core instance $i (instantiate $m (with "" (instance
                (export "sr" (func $sr)) (export "sw" (func $sw))
                (export "fr" (func $fr)) (export "fw" (func $fw))))))
            (func (export "run") (param "x" u32) (result u32) (canon lift (core func $i "run"))))"#,
    );
    assert!(stripped.report.bytes_after < stripped.report.bytes_before);
}

#[test]
fn an_async_export_keeps_its_callback_and_realloc() {
    let stripped = stripped(
        r#"(component
            (core module $libc
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
            (core instance $libc (instantiate $libc))
            (core func $return (canon task.return (result string) (memory (core memory $libc "memory"))))
            (core module $m
                (import "" "return" (func $return (param i32 i32)))
                (func (export "run") (param i32 i32) (result i32) (call $return (i32.const 0) (i32.const 0)) i32.const 0)
                (func (export "callback") (param i32 i32 i32) (result i32) i32.const 0)
                (func (export "unused")))
            (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
            (func (export "run") async (param "x" string) (result string)
                (canon lift (core func $i "run") async (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))
                    (callback (core func $i "callback")))))"#,
    );
    assert_eq!(stripped.report.modules[0].after.functions, 1);
    assert_eq!(stripped.report.modules[1].after.functions, 3);
}

#[test]
fn names_follow_their_functions() {
    let stripped = stripped(&around(
        r#"(func $gone)
           (func $helper (param $p i32) (result i32) local.get $p)
           (func $main (export "run") (param i32) (result i32) (call $helper (local.get 0)))"#,
    ));
    let model = Model::parse(&stripped.component).unwrap();
    let names = &model.module(0).func_names;
    assert_eq!((names[&0], names[&1], names.len()), ("helper", "main", 2));
    assert_eq!(model.module(0).count(CoreSpace::Func), 2);
}

#[test]
fn debug_sections_go_only_if_the_code_moved() {
    let debug = |unused: &str| {
        around(&format!(
            r#"(@custom ".debug_info" "x") (@custom "producers" "\00") (@custom "mine" "y")
               {unused}
               (func (export "run") (param i32) (result i32) local.get 0)"#
        ))
    };
    let customs = |text: &str| -> Vec<String> {
        let stripped = stripped(text);
        let model = Model::parse(&stripped.component).unwrap();
        model.module(0).customs.iter().map(|c| c.name().to_string()).filter(|n| n != "name").collect()
    };
    assert_eq!(customs(&debug("")), [".debug_info", "mine"]);
    assert_eq!(customs(&debug("(func)")), ["mine"]);
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0\x07\xff", b"\0asm\x01\0\0\0"] {
        // An empty input and a core module have no exports to start from; broken ones cannot be read.
        assert!(strip(bytes).is_err(), "{bytes:?}");
    }
}
