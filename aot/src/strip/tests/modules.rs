//! Inside one module: calls, tables, segments, names.

use super::super::component::Model;
use super::super::core_refs::CoreSpace;
use super::{around, only_module, stripped};

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
