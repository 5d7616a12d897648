//! The configuration with which `xl`, Xen's command line, starts an image.

use crate::network::Network;
use mwasm_plan::Plan;
use std::path::Path;

/// A network card on the bridge that is usual on the machine.
const VIF: &str = "vif = [ \"\" ]\n";

/// The text of the configuration for the image at `image`, which takes `image_bytes` of memory when it is loaded.
pub fn configuration(plan: &Plan<'_>, image: &Path, image_bytes: u64) -> String {
    let file = image.file_name().unwrap_or(image.as_os_str()).to_string_lossy();
    let memory = super::memory_mib(plan, image_bytes);
    format!(
        "# Start it in this folder: xl create -c {file}.cfg\n\
         name = \"{name}\"\n\
         type = \"pvh\"\n\
         kernel = \"{kernel}\"\n\
         memory = {memory}\n\
         vcpus = 1\n\
         {vif}\
         on_poweroff = \"destroy\"\n\
         on_reboot = \"destroy\"\n\
         on_crash = \"destroy\"\n",
        name = domain_name(plan.name),
        kernel = escape(&file),
        vif = if Network::is_given(plan) { VIF } else { "" },
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
    use mwasm_plan::{Entry, Memory};

    #[test]
    fn a_network_card_is_there_for_who_uses_it() {
        let text = |plan: &Plan<'_>| configuration(plan, Path::new("web"), 0);
        assert!(!text(&Plan::default()).contains("vif"));
        let plan = Plan { entry: Entry::Serve02("wasi:http/incoming-handler@0.2.3"), ..Plan::default() };
        assert!(text(&plan).contains("vcpus = 1\nvif = [ \"\" ]\non_poweroff"), "{}", text(&plan));
    }

    #[test]
    fn memory_follows_the_plan() {
        let memory = Memory { heap_bytes: Some(64 << 20), ..Memory::default() };
        let plan = Plan { name: "my app", memory, ..Plan::default() };
        let text = configuration(&plan, Path::new("out/hello.xen"), 900 << 10);
        assert!(text.contains("memory = 90\n"), "{text}");
        assert!(text.contains("name = \"my-app\"\n") && text.contains("kernel = \"hello.xen\"\n"), "{text}");
    }
}
