//! Arbitrary bytes as ACPI tables.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mwasm_host_xen::acpi;

fuzz_target!(|bytes: &[u8]| {
    let _ = acpi::parse_root(bytes);
    let _ = acpi::parse_header(bytes);
    let _ = acpi::tables(bytes, 4).count();
    let _ = acpi::tables(bytes, 8).count();
    let _ = acpi::parse_fixed(bytes);
});
