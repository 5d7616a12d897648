//! Arguments and expected results of a script as values of Wasmtime.

use anyhow::{Result, bail};
use json_from_wast::{Const, CoreConst, ExternRef, FloatConst, FuncRef, V128};
use wasmtime::Val;

/// The argument that a script names.
pub fn argument(constant: &Const<'_>) -> Result<Val> {
    Ok(match constant {
        Const::Core(CoreConst::I32 { value }) => Val::I32(value.0),
        Const::Core(CoreConst::I64 { value }) => Val::I64(value.0),
        Const::Core(CoreConst::F32 { value }) => Val::F32(value.to_bits()),
        Const::Core(CoreConst::F64 { value }) => Val::F64(value.to_bits()),
        Const::Core(CoreConst::V128(value)) => Val::V128(value.to_u128().into()),
        Const::Core(CoreConst::FuncRef { value: Some(FuncRef::Null) } | CoreConst::NullFuncRef) => Val::FuncRef(None),
        Const::Core(CoreConst::ExternRef { value: Some(ExternRef::Null) }) => Val::ExternRef(None),
        other => bail!("an argument that this test cannot make: {other:?}"),
    })
}

/// Whether all results are what a script expects.
pub fn all_match(results: &[Val], expected: &[Const<'_>]) -> bool {
    results.len() == expected.len()
        && results.iter().zip(expected).all(|(result, expected)| match expected {
            Const::Core(expected) => matches(result, expected),
            Const::Component(_) => false,
        })
}

fn matches(result: &Val, expected: &CoreConst) -> bool {
    match (result, expected) {
        (_, CoreConst::Either { values }) => values.iter().any(|expected| matches(result, expected)),
        (Val::I32(result), CoreConst::I32 { value }) => *result == value.0,
        (Val::I64(result), CoreConst::I64 { value }) => *result == value.0,
        (Val::F32(result), CoreConst::F32 { value }) => f32_matches(*result, value),
        (Val::F64(result), CoreConst::F64 { value }) => f64_matches(*result, value),
        (Val::V128(result), CoreConst::V128(value)) => lanes_match(result.as_u128(), value),
        (Val::FuncRef(None), CoreConst::RefNull | CoreConst::NullFuncRef) => true,
        // Which function it is cannot be seen from outside.
        (Val::FuncRef(Some(_)), CoreConst::FuncRef { value }) => !matches!(value, Some(FuncRef::Null)),
        (Val::FuncRef(None), CoreConst::FuncRef { value }) => matches!(value, Some(FuncRef::Null)),
        _ => false,
    }
}

/// Bit for bit; a canonical NaN has just the first bit of its fraction set, an arithmetic one has that bit set; any sign will do.
fn f32_matches(bits: u32, expected: &FloatConst<f32>) -> bool {
    const QUIET_NAN: u32 = 0x7fc0_0000;
    match expected {
        FloatConst::CanonicalNan => bits & !(1 << 31) == QUIET_NAN,
        FloatConst::ArithmeticNan => bits & QUIET_NAN == QUIET_NAN,
        FloatConst::Value(value) => bits == value.to_bits(),
    }
}

/// As [`f32_matches`].
fn f64_matches(bits: u64, expected: &FloatConst<f64>) -> bool {
    const QUIET_NAN: u64 = 0x7ff8_0000_0000_0000;
    match expected {
        FloatConst::CanonicalNan => bits & !(1 << 63) == QUIET_NAN,
        FloatConst::ArithmeticNan => bits & QUIET_NAN == QUIET_NAN,
        FloatConst::Value(value) => bits == value.to_bits(),
    }
}

fn lanes_match(bits: u128, expected: &V128) -> bool {
    match expected {
        V128::F32 { value } => {
            (0..).step_by(32).zip(value).all(|(shift, value)| f32_matches((bits >> shift) as u32, value))
        }
        V128::F64 { value } => {
            (0..).step_by(64).zip(value).all(|(shift, value)| f64_matches((bits >> shift) as u64, value))
        }
        integers => bits == integers.to_u128(),
    }
}
