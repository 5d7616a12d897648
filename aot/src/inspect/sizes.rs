//! Where the bytes of a component went, by module, section and function.

use crate::fuse::map::Node;
use anyhow::Result;
use std::collections::HashMap;
use wasmparser::{KnownCustom, Name, Parser, Payload};

/// A core module while it is read.
#[derive(Default)]
struct Module {
    name: Option<String>,
    imported: u32,
    /// Code of each function, in bytes, in the order of the code section.
    code: Vec<u64>,
    names: HashMap<u32, String>,
    data: u64,
    other: u64,
}

/// The sizes of a component's parts.
pub fn of(component: &[u8]) -> Result<Node> {
    let mut modules: Vec<Node> = Vec::new();
    // Components nest; modules do not, so what is read belongs to the module that is open, or to none.
    let mut open: Option<Module> = None;
    let mut known = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } => open = Some(Module::default()),
            Payload::End(_) => {
                if let Some(module) = open.take() {
                    let node = module.into_node(modules.len());
                    known += node.bytes;
                    modules.push(node);
                }
            }
            payload => {
                if let Some(module) = &mut open {
                    module.add(payload)?;
                }
            }
        }
    }
    let rest = Node::leaf("component types, adapters and headers", (component.len() as u64).saturating_sub(known));
    Ok(Node::sum("app", modules.into_iter().chain([rest])))
}

impl Module {
    fn add(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ImportSection(section) => {
                self.other += bytes(section.range());
                for import in section.into_imports() {
                    self.imported += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => self.code.push(bytes(body.range())),
            Payload::DataSection(section) => self.data += bytes(section.range()),
            Payload::CustomSection(section) => {
                self.other += bytes(section.range());
                if let KnownCustom::Name(names) = section.as_known() {
                    for name in names {
                        self.add_name(name?)?;
                    }
                }
            }
            payload => {
                // The code section is counted function by function.
                let section = payload.as_section().filter(|_| !matches!(payload, Payload::CodeSectionStart { .. }));
                self.other += section.map_or(0, |(_, range)| bytes(range));
            }
        }
        Ok(())
    }

    fn add_name(&mut self, name: Name<'_>) -> Result<()> {
        match name {
            Name::Module { name, .. } => self.name = Some(name.to_owned()),
            Name::Function(map) => {
                for naming in map {
                    let naming = naming?;
                    self.names.insert(naming.index, format!("{:#}", rustc_demangle::demangle(naming.name)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn into_node(self, index: usize) -> Node {
        let function = |(index, bytes): (u32, &u64)| {
            let index = index + self.imported;
            let name = self.names.get(&index).cloned().unwrap_or_else(|| format!("function {index}"));
            Node::leaf(name, *bytes)
        };
        let code = Node::sum("code", (0..).zip(&self.code).map(function));
        let parts = [code, Node::leaf("data", self.data), Node::leaf("names, tables and types", self.other)];
        Node::sum(self.name.unwrap_or_else(|| format!("module {index}")), parts)
    }
}

fn bytes(range: std::ops::Range<usize>) -> u64 {
    range.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_counted_once() {
        let component = wat::parse_str(
            r#"(component (core module $main
                (import "a" "b" (func))
                (memory 1) (data (i32.const 0) "0123456789")
                (func $big (drop (i32.const 1)) (drop (i32.const 2)))))"#,
        )
        .unwrap();
        let tree = of(&component).unwrap();
        assert_eq!(tree.bytes, component.len() as u64);
        let module = &tree.children[0];
        assert_eq!(module.name, "main");
        let code = module.children.iter().find(|part| part.name == "code").unwrap();
        assert_eq!(code.children[0].name, "big");
        assert!(module.children.iter().any(|part| part.name == "data" && part.bytes >= 10));
    }
}
