//! Element segments of a module that is written again.
//!
//! A segment stays whole where its table is called through computed indices or read, with stubs for the functions that
//! nothing can call there. Where a table is only called through constant indices, the segment is split into the runs of
//! slots that somebody calls.

use super::core_refs::{CoreRefs, CoreSpace, flatten};
use super::liveness::Node;
use super::module::{Element, Entry, SegmentKind};
use super::rewrite_module::{ModuleWriter, Numbers, Renumber};
use anyhow::{Context, Result, bail};
use std::borrow::Cow;
use std::ops::Range;
use wasm_encoder::reencode::{Reencode, utils};
use wasm_encoder::{ConstExpr, ElementSection, Elements};

/// What becomes of an element segment.
pub enum Remains {
    /// It is gone.
    Nothing,
    /// All of it. True if functions that are not reached are replaced by stubs.
    Whole,
    /// The slots at these positions, as runs of neighbours.
    Runs(Vec<Range<usize>>),
}

impl<'a> ModuleWriter<'_, '_, 'a> {
    /// What becomes of a segment.
    pub(super) fn remains(&self, index: u32, element: &Element<'a>) -> Remains {
        if self.live(CoreSpace::Element, index) {
            return Remains::Whole;
        }
        let SegmentKind::Active { target, .. } = element.kind else { return Remains::Nothing };
        let family = self.liveness.links.family(self.id, CoreSpace::Table, target);
        if family.is_some_and(|family| self.liveness.has(Node::Filled(family))) {
            return Remains::Whole;
        }
        let mut runs: Vec<Range<usize>> = Vec::new();
        for entry in 0..element.entries.len() {
            if self.liveness.has(Node::Slot(self.id, index, entry as u32)) {
                match runs.last_mut() {
                    Some(run) if run.end == entry => run.end += 1,
                    _ => runs.push(entry..entry + 1),
                }
            }
        }
        if runs.is_empty() { Remains::Nothing } else { Remains::Runs(runs) }
    }

    /// Segments that remain, and one that declares the functions which code takes references to.
    pub(super) fn elements(&self, refs: &mut CoreRefs<Renumber<'_>>, numbers: &Numbers) -> Result<ElementSection> {
        let mut elements = ElementSection::new();
        for (element, remains) in self.module.elements.iter().zip(&self.remains) {
            match remains {
                Remains::Nothing => {}
                Remains::Whole => self.segment(refs, numbers, &mut elements, element, 0..element.entries.len())?,
                Remains::Runs(runs) => {
                    for run in runs {
                        self.segment(refs, numbers, &mut elements, element, run.clone())?;
                    }
                }
            }
        }
        if !refs.map.declared.is_empty() {
            let declared: Vec<u32> = refs.map.declared.iter().copied().collect();
            elements.declared(Elements::Functions(Cow::Owned(declared)));
        }
        Ok(elements)
    }

    /// Writes the elements at positions `run` of a segment as a segment of their own.
    fn segment(
        &self,
        refs: &mut CoreRefs<Renumber<'_>>,
        numbers: &Numbers,
        elements: &mut ElementSection,
        element: &Element<'a>,
        run: Range<usize>,
    ) -> Result<()> {
        let entries = element.entries.get(run.clone()).context("a run lies outside its segment")?;
        let items = match element.ty {
            None => {
                let funcs = entries.iter().map(|entry| match entry {
                    Entry::Func(func) => self.slot(numbers, *func),
                    Entry::Null(_) | Entry::Other(_) => bail!("an expression in a segment of plain functions"),
                });
                Elements::Functions(Cow::Owned(funcs.collect::<Result<_>>()?))
            }
            Some(ty) => {
                let mut exprs = Vec::with_capacity(entries.len());
                for entry in entries {
                    exprs.push(match entry {
                        Entry::Func(func) => ConstExpr::ref_func(self.slot(numbers, *func)?),
                        Entry::Null(expr) | Entry::Other(expr) => {
                            utils::const_expr(refs, expr.clone()).map_err(flatten)?
                        }
                    });
                }
                Elements::Expressions(refs.ref_type(ty).map_err(flatten)?, Cow::Owned(exprs))
            }
        };
        match &element.kind {
            SegmentKind::Active { target, offset, at } => {
                let table = refs.table_index(*target).map_err(flatten)?;
                let offset = match (run.start, at) {
                    (0, _) => utils::const_expr(refs, offset.clone()).map_err(flatten)?,
                    (skip, Some(at)) => self.offset(*target, at + skip as u64)?,
                    (_, None) => bail!("a segment without a constant offset cannot be split"),
                };
                // The short form has no room for a table or an element type.
                let explicit = table != 0 || element.ty.is_some();
                elements.active(explicit.then_some(table), &offset, items);
            }
            SegmentKind::Passive => {
                elements.passive(items);
            }
            SegmentKind::Declared => {
                elements.declared(items);
            }
        }
        Ok(())
    }

    /// The constant expression for slot `at` of a table.
    fn offset(&self, table: u32, at: u64) -> Result<ConstExpr> {
        let ty = self.module.table_type(table).context("a segment names a missing table")?;
        Ok(if ty.table64 { ConstExpr::i64_const(at as i64) } else { ConstExpr::i32_const(at as u32 as i32) })
    }

    /// What to write in a slot that held function `func`.
    fn slot(&self, numbers: &Numbers, func: u32) -> Result<u32> {
        let stub = || numbers.stubs.get(self.module.func_types.get(func as usize)?).copied();
        numbers.get(CoreSpace::Func, func).or_else(stub).context("a slot has neither a function nor a stub")
    }
}
