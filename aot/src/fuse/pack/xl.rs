//! The configuration with which `xl`, Xen's command line, starts an image.

use mwasm_plan::Plan;
use std::path::Path;

/// Memory of a virtual machine in MiB, beyond the image and the guest's own heap: for page tables, stacks and the host's heap.
const HOST_MIB: u64 = 16;
/// Heap of the guest in MiB, where the plan does not limit it.
const DEFAULT_HEAP_MIB: u64 = 48;
const MIB: u64 = 1 << 20;

/// The text of the configuration for the image at `image`, which takes `image_bytes` of memory when it is loaded.
pub fn configuration(plan: &Plan<'_>, image: &Path, image_bytes: u64) -> String {
    let file = image.file_name().unwrap_or(image.as_os_str()).to_string_lossy();
    let heap = plan.memory.heap_bytes.map_or(DEFAULT_HEAP_MIB, |bytes| bytes.div_ceil(MIB));
    let memory = HOST_MIB + heap + image_bytes.div_ceil(MIB) + plan.memory.stack_bytes.div_ceil(MIB);
    format!(
        "# Start it in this folder: xl create -c {file}.cfg\n\
         name = \"{name}\"\n\
         type = \"pvh\"\n\
         kernel = \"{kernel}\"\n\
         memory = {memory}\n\
         vcpus = 1\n\
         on_poweroff = \"destroy\"\n\
         on_reboot = \"destroy\"\n\
         on_crash = \"destroy\"\n",
        name = domain_name(plan.name),
        kernel = escape(&file),
    )
}

/// A name that Xen's tools take: letters, digits and a few signs.
fn domain_name(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+') { c } else { '-' };
    let name: String = name.chars().map(letter).collect();
    if name.is_empty() { "app".to_owned() } else { name }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_plan::Memory;

    #[test]
    fn memory_follows_the_plan() {
        let memory = Memory { heap_bytes: Some(64 << 20), stack_bytes: 1 << 20 };
        let plan = Plan { name: "my app", memory, ..Plan::default() };
        let text = configuration(&plan, Path::new("out/hello.xen"), 900 << 10);
        assert!(text.contains("memory = 82\n"), "{text}");
        assert!(text.contains("name = \"my-app\"\n") && text.contains("kernel = \"hello.xen\"\n"), "{text}");
    }
}
