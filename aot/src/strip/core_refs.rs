//! Every index that a piece of a core module names, seen through one visitor.
//!
//! The reachability analysis has to *see* each reference that a function body, a type or a constant expression makes,
//! and the rewriter has to *replace* each of them by its new number. If two pieces of code did the two jobs, one
//! would some day know an instruction that the other does not. So both go through [`CoreRefs`], which walks Wasm with
//! the `reencode` machinery of wasm-encoder and asks an [`IndexMap`] for each index: the analysis notes it and hands it
//! back unchanged, the rewriter looks up the new one.

use anyhow::Result;
use wasm_encoder::Instruction;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasmparser::Operator;

/// An index space of a core module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CoreSpace {
    Func,
    Table,
    Memory,
    Global,
    Tag,
    Type,
    Element,
    Data,
}

/// A use of a table that says something about which of its slots can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableUse {
    /// `call_indirect` through a slot that is known: the index is a constant pushed just before.
    CallSlot { table: u32, slot: u64, ty: u32 },
    /// `call_indirect` through a computed index: any slot whose function has this type.
    CallAny { table: u32, ty: u32 },
    /// The elements leave the table as values (`table.get`, `table.copy`): any slot, any type.
    Read { table: u32 },
}

/// What [`CoreRefs`] asks of its user.
pub trait IndexMap {
    /// The number to write in place of `index`. An error ends the walk.
    fn map(&mut self, space: CoreSpace, index: u32) -> Result<u32>;

    /// True if the segment does not exist in the output: `data.drop` and `elem.drop` of it become `nop`. They only
    /// release a segment, so they are no reason to keep one.
    fn is_gone(&self, space: CoreSpace, index: u32) -> bool;

    /// A `ref.func` in a function body; the function has to be declared in an element segment.
    fn ref_func(&mut self, _func: u32) {}

    /// A use of a table by an instruction.
    fn table_use(&mut self, _use: TableUse) {}
}

/// The visitor; see the module's description.
pub struct CoreRefs<M> {
    /// Receives the references.
    pub map: M,
    /// The constant that the previous instruction pushed: the index of a `call_indirect` that follows it directly.
    constant: Option<u64>,
}

impl<M: IndexMap> CoreRefs<M> {
    pub fn new(map: M) -> Self {
        Self { map, constant: None }
    }

    /// Walks a function body without producing one.
    pub fn scan_body(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<()> {
        utils::new_function_with_parsed_locals(self, body).map_err(flatten)?;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            utils::parse_instruction(self, &mut reader).map_err(flatten)?;
        }
        Ok(())
    }

    fn note_table_use(&mut self, op: &Operator<'_>) {
        let constant = self.constant;
        match *op {
            Operator::CallIndirect { type_index, table_index }
            | Operator::ReturnCallIndirect { type_index, table_index } => self.map.table_use(match constant {
                Some(slot) => TableUse::CallSlot { table: table_index, slot, ty: type_index },
                None => TableUse::CallAny { table: table_index, ty: type_index },
            }),
            Operator::TableGet { table } => self.map.table_use(TableUse::Read { table }),
            Operator::TableCopy { dst_table, src_table } => {
                self.map.table_use(TableUse::Read { table: src_table });
                self.map.table_use(TableUse::Read { table: dst_table });
            }
            _ => {}
        }
        self.constant = match *op {
            Operator::I32Const { value } => Some(u64::from(value as u32)),
            Operator::I64Const { value } => Some(value as u64),
            _ => None,
        };
    }
}

/// Turns the error of a `reencode` walk into ours.
pub fn flatten(error: Error<anyhow::Error>) -> anyhow::Error {
    match error {
        Error::UserError(inner) => inner,
        Error::ParseError(inner) => inner.into(),
        other => anyhow::anyhow!("cannot re-encode this piece of Wasm: {other}"),
    }
}

impl<M: IndexMap> Reencode for CoreRefs<M> {
    type Error = anyhow::Error;

    fn data_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Data, index).map_err(Error::UserError)
    }

    fn element_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Element, index).map_err(Error::UserError)
    }

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Func, index).map_err(Error::UserError)
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Global, index).map_err(Error::UserError)
    }

    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Memory, index).map_err(Error::UserError)
    }

    fn table_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Table, index).map_err(Error::UserError)
    }

    fn tag_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Tag, index).map_err(Error::UserError)
    }

    fn type_index(&mut self, index: u32) -> Result<u32, Error<Self::Error>> {
        self.map.map(CoreSpace::Type, index).map_err(Error::UserError)
    }

    fn instruction<'a>(&mut self, op: Operator<'a>) -> Result<Instruction<'a>, Error<Self::Error>> {
        self.note_table_use(&op);
        match op {
            Operator::DataDrop { data_index } if self.map.is_gone(CoreSpace::Data, data_index) => Ok(Instruction::Nop),
            Operator::ElemDrop { elem_index } if self.map.is_gone(CoreSpace::Element, elem_index) => {
                Ok(Instruction::Nop)
            }
            Operator::RefFunc { function_index } => {
                self.map.ref_func(function_index);
                utils::instruction(self, op)
            }
            op => utils::instruction(self, op),
        }
    }
}
