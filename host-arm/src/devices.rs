//! What this host needs to know of a machine, picked out of its device tree.
//!
//! Names and meanings are those of the Linux kernel's bindings (`Documentation/devicetree/bindings`), which QEMU and
//! Xen follow.

use crate::tree::{self, Token, Tree};
use core::fmt;
use mwasm_host_metal::memory_map::MemoryMap;

/// The most virtio-mmio windows that are kept; QEMU has 32.
pub const MAX_VIRTIO: usize = 32;
/// How deep nodes may be nested; what is deeper is not looked at.
const MAX_DEPTH: usize = 8;
/// The word in `bootargs` that says that semihosting works, so that the exit code can be told.
pub const SEMIHOSTING_WORD: &str = "mwasm.semihosting";
/// Linux's code for a power button.
const KEY_POWER: u64 = 116;
/// Shared interrupts are counted from here, private ones from the other.
const FIRST_SHARED: u32 = 32;
const FIRST_PRIVATE: u32 = 16;
/// Index of the virtual timer among the interrupts of the generic timer's node.
const VIRTUAL_TIMER: usize = 2;
/// Cells of an interrupt of a GIC.
const INTERRUPT_CELLS: usize = 3;

/// Registers of a device: physical address and size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first byte.
    pub base: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A device with one interrupt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its registers.
    pub window: Window,
    /// Its interrupt, as the GIC numbers them.
    pub interrupt: u32,
}

/// The interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gic {
    /// Version 2: distributor and processor interface.
    V2(Window, Window),
    /// Version 3: distributor and redistributors.
    V3(Window, Window),
}

/// How firmware is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// By `hvc`.
    Hypervisor,
    /// By `smc`.
    SecureMonitor,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct Devices {
    /// Its memory, without what must be left alone.
    pub memory: MemoryMap,
    /// A PL011 or SBSA serial port; the flag is whether it has the PL011's control registers.
    pub serial: Option<(Device, bool)>,
    /// The interrupt controller.
    pub gic: Option<Gic>,
    /// Interrupt of the virtual timer.
    pub timer_interrupt: Option<u32>,
    /// How PSCI is called.
    pub psci: Option<Conduit>,
    /// A PL031 real-time clock.
    pub clock: Option<Window>,
    /// A PL061 whose input (its number follows) is the power button.
    pub button: Option<(Device, u32)>,
    /// Devices on virtio-mmio, or empty places for them.
    pub virtio: [Device; MAX_VIRTIO],
    /// How many of them there are.
    pub virtio_count: usize,
    /// Whether [`SEMIHOSTING_WORD`] was given.
    pub semihosting: bool,
    /// Whether Xen runs the machine: the interrupt by which its event channels are told.
    pub xen: Option<u32>,
}

/// What is missing for this host to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing(pub &'static str);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted {} in the device tree, found none: use QEMU's virt machine or a Xen guest", self.0)
    }
}

impl core::error::Error for Missing {}

/// The properties of a node that matter.
#[derive(Clone, Copy, Debug, Default)]
struct Node<'a> {
    name: &'a [u8],
    compatible: &'a [u8],
    device_type: &'a [u8],
    reg: &'a [u8],
    interrupts: &'a [u8],
    phandle: Option<u64>,
    gpios: &'a [u8],
    code: Option<u64>,
    method: &'a [u8],
    status: &'a [u8],
    bootargs: &'a [u8],
    output: &'a [u8],
    address_cells: usize,
    size_cells: usize,
}

/// What can only be decided when the whole tree has been seen.
#[derive(Clone, Copy, Debug, Default)]
struct Found<'a> {
    /// Name of the console's node, if that is at the top.
    output: &'a [u8],
    /// Handle of the button's controller, and the input.
    button: Option<(u64, u32)>,
    /// The last controller with this handle.
    controller: Option<(u64, Device)>,
}

/// Reads a machine out of its tree.
pub fn describe(tree: &Tree<'_>) -> Devices {
    let mut devices = Devices {
        memory: MemoryMap::new(),
        serial: None,
        gic: None,
        timer_interrupt: None,
        psci: None,
        clock: None,
        button: None,
        virtio: [Device::default(); MAX_VIRTIO],
        virtio_count: 0,
        semihosting: false,
        xen: None,
    };
    let mut found = Found::default();
    // Some nodes refer to later ones, and reserved memory must be taken out after memory was put in.
    each_node(tree, |parents, node| devices.note_memory_and_references(parents, node, &mut found));
    each_node(tree, |parents, node| devices.note_device(parents, node, &mut found));
    if let (Some((wanted, input)), Some((handle, device))) = (found.button, found.controller)
        && wanted == handle
    {
        devices.button = Some((device, input));
    }
    for (start, bytes) in tree.reservations() {
        devices.memory.remove(start, bytes);
    }
    devices
}

/// Calls `f` with each node and the nodes above it, outermost first, once its properties are known.
fn each_node<'a>(tree: &Tree<'a>, mut f: impl FnMut(&[Node<'a>], &Node<'a>)) {
    let mut open = [Node::default(); MAX_DEPTH];
    let (mut depth, mut done) = (0usize, true);
    let mut finish = |open: &[Node<'a>; MAX_DEPTH], depth: usize, done: &mut bool| {
        if !core::mem::replace(done, true)
            && let Some((node, parents)) = open.get(..depth).and_then(|nodes| nodes.split_last())
        {
            f(parents, node);
        }
    };
    for token in tree.tokens() {
        match token {
            Token::Begin(name) => {
                finish(&open, depth, &mut done);
                if let Some(slot) = open.get_mut(depth) {
                    *slot = Node { name, address_cells: 2, size_cells: 1, ..Node::default() };
                    done = false;
                }
                depth += 1;
            }
            Token::Property(name, value) => {
                if let Some(node) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) {
                    node.set(name, value);
                }
            }
            Token::End => {
                finish(&open, depth, &mut done);
                depth = depth.saturating_sub(1);
            }
        }
    }
}

impl<'a> Node<'a> {
    fn set(&mut self, name: &[u8], value: &'a [u8]) {
        let number = tree::cells(value, 0, 1);
        let count = || number.map_or(0, |count| count.min(4) as usize);
        match name {
            b"compatible" => self.compatible = value,
            b"device_type" => self.device_type = value,
            b"reg" => self.reg = value,
            b"interrupts" => self.interrupts = value,
            b"phandle" => self.phandle = number,
            b"gpios" => self.gpios = value,
            b"linux,code" => self.code = number,
            b"method" => self.method = value,
            b"status" => self.status = value,
            b"bootargs" => self.bootargs = value,
            b"stdout-path" => self.output = value,
            b"#address-cells" => self.address_cells = count(),
            b"#size-cells" => self.size_cells = count(),
            _ => {}
        }
    }

    fn is(&self, compatible: &str) -> bool {
        let mut rest = self.compatible;
        while rest.len() >= compatible.len() {
            if rest.strip_prefix(compatible.as_bytes()).is_some_and(|rest| matches!(rest, [] | [0, ..])) {
                return true;
            }
            let Some(name) = tree::text(rest) else { return false };
            rest = rest.get(name.len() + 1..).unwrap_or_default();
        }
        false
    }

    fn is_enabled(&self) -> bool {
        matches!(tree::text(self.status), None | Some(b"okay" | b"ok"))
    }

    /// The `index`-th window, in the parent's cells.
    fn window(&self, parents: &[Self], index: usize) -> Option<Window> {
        let parent = parents.last()?;
        let first = index * (parent.address_cells + parent.size_cells);
        let base = tree::cells(self.reg, first, parent.address_cells)?;
        let bytes = tree::cells(self.reg, first + parent.address_cells, parent.size_cells)?;
        Some(Window { base, bytes })
    }

    /// The `index`-th interrupt.
    fn interrupt(&self, index: usize) -> Option<u32> {
        let cell = |i| tree::cells(self.interrupts, index * INTERRUPT_CELLS + i, 1).map(|cell| cell as u32);
        let first = if cell(0)? == 0 { FIRST_SHARED } else { FIRST_PRIVATE };
        // Interrupt numbers of a GIC end below this.
        cell(1)?.checked_add(first).filter(|number| *number < 1020)
    }

    fn device(&self, parents: &[Self]) -> Option<Device> {
        Some(Device { window: self.window(parents, 0)?, interrupt: self.interrupt(0)? })
    }
}

impl Devices {
    fn note_memory_and_references<'a>(&mut self, parents: &[Node<'a>], node: &Node<'a>, found: &mut Found<'a>) {
        let top_level = parents.len() == 1;
        if tree::text(node.device_type) == Some(b"memory") && node.is_enabled() {
            (0..)
                .map_while(|index| node.window(parents, index))
                .for_each(|window| self.memory.add(window.base, window.bytes));
        }
        if top_level && node.name == b"chosen" {
            let arguments = tree::text(node.bootargs).unwrap_or_default();
            self.semihosting = arguments.split(u8::is_ascii_whitespace).any(|word| word == SEMIHOSTING_WORD.as_bytes());
            // Options of the port may follow its path.
            let path = tree::text(node.output).and_then(|path| path.split(|byte| *byte == b':').next());
            found.output = path.and_then(|path| path.strip_prefix(b"/")).unwrap_or_default();
        }
        if node.code == Some(KEY_POWER) && parents.last().is_some_and(|parent| parent.is("gpio-keys")) {
            found.button = tree::cells(node.gpios, 0, 1).zip(tree::cells(node.gpios, 1, 1).map(|input| input as u32));
        }
    }

    fn note_device<'a>(&mut self, parents: &[Node<'a>], node: &Node<'a>, found: &mut Found<'a>) {
        if parents.get(1).is_some_and(|parent| parent.name == b"reserved-memory") {
            let windows = (0..).map_while(|index| node.window(parents, index));
            windows.for_each(|window| self.memory.remove(window.base, window.bytes));
        }
        if !node.is_enabled() {
            return;
        }
        let window = |index| node.window(parents, index);
        // First, for a machine has up to 32 of them, and all that is asked before would be asked as often.
        if node.is("virtio,mmio") {
            if let (Some(device), Some(slot)) = (node.device(parents), self.virtio.get_mut(self.virtio_count)) {
                *slot = device;
                self.virtio_count += 1;
            }
        } else if node.is("arm,pl011") || node.is("arm,sbsa-uart") {
            let chosen = parents.len() == 1 && found.output == node.name;
            if self.serial.is_none() || chosen {
                self.serial = node.device(parents).map(|device| (device, node.is("arm,pl011"))).or(self.serial);
            }
        } else if node.is("arm,gic-v3") {
            self.gic = window(0).zip(window(1)).map(|(distributor, others)| Gic::V3(distributor, others));
        } else if node.is("arm,cortex-a15-gic") || node.is("arm,gic-400") || node.is("arm,cortex-a9-gic") {
            self.gic = window(0).zip(window(1)).map(|(distributor, others)| Gic::V2(distributor, others));
        } else if node.is("arm,armv8-timer") {
            self.timer_interrupt = node.interrupt(VIRTUAL_TIMER);
        } else if node.is("arm,psci-0.2") || node.is("arm,psci-1.0") {
            self.psci = match tree::text(node.method) {
                Some(b"hvc") => Some(Conduit::Hypervisor),
                Some(b"smc") => Some(Conduit::SecureMonitor),
                _ => None,
            };
        } else if node.is("arm,pl031") {
            self.clock = window(0);
        } else if node.is("arm,pl061") {
            if found.controller.is_none_or(|(handle, _)| found.button.is_none_or(|(wanted, _)| wanted != handle)) {
                found.controller = node.phandle.zip(node.device(parents));
            }
        } else if node.is("xen,xen") {
            self.xen = node.interrupt(0);
        }
    }

    /// The windows of virtio-mmio: physical address and length in bytes.
    pub fn virtio_windows(&self) -> impl Iterator<Item = (u64, usize)> {
        self.virtio.iter().take(self.virtio_count).map(|device| (device.window.base, device.window.bytes as usize))
    }

    /// Checks that nothing is missing that this host cannot do without; gives the serial port, the controller and the
    /// timer's interrupt.
    pub fn required(&self) -> Result<((Device, bool), Gic, u32), Missing> {
        Ok((
            self.serial.ok_or(Missing("a serial port (arm,pl011 or arm,sbsa-uart)"))?,
            self.gic.ok_or(Missing("an interrupt controller (arm,gic-v3 or arm,cortex-a15-gic)"))?,
            self.timer_interrupt.ok_or(Missing("the generic timer (arm,armv8-timer)"))?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::Builder;
    use mwasm_host_metal::memory_map::Region;
    use proptest::prelude::*;

    /// The parts of QEMU's virt that matter.
    fn virt(builder: &mut Builder) {
        builder.node("", |root| {
            root.cells("#address-cells", &[2]).cells("#size-cells", &[2]);
            root.node("psci", |node| {
                node.text("method", "hvc").bytes("compatible", b"arm,psci-1.0\0arm,psci-0.2\0arm,psci\0");
            });
            root.node("memory@40000000", |node| {
                node.cells("reg", &[0, 0x4000_0000, 0, 0x80_0000]).text("device_type", "memory");
            });
            root.node("gpio-keys", |node| {
                node.text("compatible", "gpio-keys").node("poweroff", |key| {
                    key.cells("gpios", &[0x8004, 3, 0]).cells("linux,code", &[116]);
                });
            });
            root.node("pl061@9030000", |node| {
                node.cells("phandle", &[0x8004])
                    .cells("interrupts", &[0, 7, 4])
                    .bytes("compatible", b"arm,pl061\0arm,primecell\0");
                node.cells("reg", &[0, 0x903_0000, 0, 0x1000]);
            });
            root.node("pl011@9040000", |node| {
                node.cells("interrupts", &[0, 8, 4])
                    .text("compatible", "arm,pl011")
                    .cells("reg", &[0, 0x904_0000, 0, 0x1000]);
                node.text("status", "disabled");
            });
            root.node("pl011@9000000", |node| {
                node.cells("interrupts", &[0, 1, 4])
                    .text("compatible", "arm,pl011")
                    .cells("reg", &[0, 0x900_0000, 0, 0x1000]);
            });
            root.node("intc@8000000", |node| {
                node.text("compatible", "arm,cortex-a15-gic");
                node.cells("reg", &[0, 0x800_0000, 0, 0x1_0000, 0, 0x801_0000, 0, 0x1_0000]);
            });
            root.node("timer", |node| {
                node.text("compatible", "arm,armv8-timer")
                    .cells("interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]);
            });
            for i in 0..40 {
                root.node("virtio_mmio", |node| {
                    node.text("compatible", "virtio,mmio").cells("interrupts", &[0, 16 + i, 1]);
                    node.cells("reg", &[0, 0xa00_0000 + i * 0x200, 0, 0x200]);
                });
            }
            root.node("reserved-memory", |node| {
                node.cells("#address-cells", &[1]).cells("#size-cells", &[1]).node("x@40100000", |node| {
                    node.cells("reg", &[0x4010_0000, 0x1000]);
                });
            });
            root.node("chosen", |node| {
                node.text("stdout-path", "/pl011@9000000:115200").text("bootargs", "quiet mwasm.semihosting");
            });
        });
    }

    #[test]
    fn qemus_machine_is_understood() {
        let mut builder = Builder { reservations: vec![(0x4070_0000, 0x10_0000)], ..Builder::default() };
        virt(&mut builder);
        let bytes = builder.finish();
        let devices = describe(&tree::parse(&bytes).unwrap());
        let serial = Device { window: Window { base: 0x900_0000, bytes: 0x1000 }, interrupt: 33 };
        let gic = Gic::V2(Window { base: 0x800_0000, bytes: 0x1_0000 }, Window { base: 0x801_0000, bytes: 0x1_0000 });
        assert_eq!(devices.required(), Ok(((serial, true), gic, 27)));
        assert_eq!(devices.psci, Some(Conduit::Hypervisor));
        let button = Device { window: Window { base: 0x903_0000, bytes: 0x1000 }, interrupt: 39 };
        assert_eq!(devices.button, Some((button, 3)));
        assert_eq!((devices.virtio_count, devices.virtio_windows().last()), (32, Some((0xa00_3e00, 0x200))));
        assert_eq!(devices.virtio[31].interrupt, 32 + 16 + 31);
        assert!(devices.semihosting && devices.xen.is_none() && devices.clock.is_none());
        let regions =
            [Region { start: 0x4000_0000, end: 0x4010_0000 }, Region { start: 0x4010_1000, end: 0x4070_0000 }];
        assert_eq!(devices.memory.regions(), regions);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut builder = Builder::default();
        builder.node("", |root| {
            root.node("hypervisor", |node| {
                node.bytes("compatible", b"xen,xen-4.17\0xen,xen\0").cells("interrupts", &[1, 15, 0xf08]);
            });
        });
        let bytes = builder.finish();
        let devices = describe(&tree::parse(&bytes).unwrap());
        assert_eq!(devices.xen, Some(31));
        assert!(devices.required().unwrap_err().to_string().contains("a serial port"));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..5000, value: u8) {
            let mut builder = Builder::default();
            virt(&mut builder);
            let mut bytes = builder.finish();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(tree) = tree::parse(&bytes) {
                let devices = describe(&tree);
                prop_assert!(devices.virtio_count <= MAX_VIRTIO);
            }
        }
    }
}
