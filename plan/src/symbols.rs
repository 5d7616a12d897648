//! Names by which the fuse stage and a host object find each other.

/// The one data symbol that a host object leaves open: host-core's `Image`, a table of nine 64-bit words.
///
/// ```text
///   word  content
///    0,1  address and length in bytes of the precompiled app
///    2,3  address and length in bytes of the encoded plan
///    4,5  address and number of items: five words each, address and length in bytes of the name that the app has for the interface,
///         of the name that it has for the item, and
///         the function that registers the item; the items of an interface stand together
///    6,7  address and number of port openers (`fn(&mut Ports, &mut Plan) -> Result<(), &str>`)
///      8  the function that starts the app: one of the symbols `START_*`
/// ```
pub const IMAGE: &str = "mwasm_image";
/// Where execution starts in every host object.
pub const ENTRY: &str = "_start";
/// Prefix of the symbols that register items; see [`crate::interfaces::Interface::symbol`].
pub const ITEM_PREFIX: &str = "mwasm:";
/// Opens the machine's source of randomness: the one port that costs a driver and that not every app needs.
pub const PORT_ENTROPY: &str = "mwasm_port_entropy";
/// Opens the machine's network: the device and our stack, or the operating system's sockets.
pub const PORT_NETWORK: &str = "mwasm_port_network";
/// Opens our stack over the TAP device that the plan names, in place of [`PORT_NETWORK`]; only desktop hosts have it.
pub const PORT_NETWORK_TAP: &str = "mwasm_port_network_tap";
/// Opens the machine's network card for the app itself, without a stack, in place of [`PORT_NETWORK`].
pub const PORT_LINK: &str = "mwasm_port_link";
/// Registers a resource of an interface that stands on the network, in an image without one.
pub const REFUSED_RESOURCE: &str = "mwasm:refused#resource";
/// Registers a function of such an interface: it answers with the interface's own error.
pub const REFUSED_FUNCTION: &str = "mwasm:refused#function";
/// The same for a function that is `async`.
pub const REFUSED_ASYNC_FUNCTION: &str = "mwasm:refused#async-function";
/// Starts an app that is a program: instantiates it and calls its `run`, if it has one.
pub const START_RUN: &str = "mwasm_start_run";
/// The same for a program that uses the network: what it sent is handed over before the machine ends.
pub const START_RUN_NETWORKED: &str = "mwasm_start_run_networked";
/// Starts an app that is an HTTP handler of `wasi:http` 0.2.
pub const START_SERVE_02: &str = "mwasm_start_serve_02";
/// Starts an app that is an HTTP handler of `wasi:http` 0.3.
pub const START_SERVE_03: &str = "mwasm_start_serve_03";
/// Section of the image table and of the plan.
pub const SECTION_PLAN: &str = ".rodata.mwasm_plan";
/// Section of the precompiled app; page-aligned, so that its code can be made executable where it lies.
pub const SECTION_APP: &str = "mwasm_app";
/// Section of the names of interfaces and items.
pub const SECTION_NAMES: &str = ".rodata.mwasm_names";
