//! Settings of the compiler that an app and the host that runs it must agree on.
//!
//! Wasmtime refuses a precompiled app whose settings differ from its own, so both the compile stage and the hosts take them from
//! here.

/// Native stack that a host function may use below guest code, in bytes, beside the guest's own stack.
pub const HOST_STACK_BYTES: u64 = 256 << 10;
/// The x86-64 features that apps are compiled for: those of x86-64-v2, which every processor since 2009 has and which QEMU's and
/// Xen's usual models offer. Cranelift's name, and the name that the host asks CPUID by.
pub const X86_64_FEATURES: &[(&str, &str)] = &[
    ("has_cmpxchg16b", "cmpxchg16b"),
    ("has_sse3", "sse3"),
    ("has_ssse3", "ssse3"),
    ("has_sse41", "sse4.1"),
    ("has_sse42", "sse4.2"),
    ("has_popcnt", "popcnt"),
];
