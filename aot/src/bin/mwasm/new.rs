//! `mwasm new`: a project that builds and runs as it is.

use crate::cli::{Language, New};
use anyhow::{Context, Result};
use mwasm_aot::problem::Problem;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

/// A language's project.
struct Template {
    language: &'static str,
    /// What the build needs, for the README.
    needs: &'static str,
    /// The command that builds the app.
    build: &'static str,
    /// Where that leaves it.
    component: &'static str,
    /// Files and their contents; the files of [`COMMON`] come on top.
    files: &'static [(&'static str, &'static str)],
}

macro_rules! file {
    ($name:literal, $template:literal) => {
        ($name, include_str!(concat!("../../../templates/", $template)))
    };
}

const COMMON: &[(&str, &str)] = &[file!("mwasm.toml", "mwasm.toml"), file!("README.md", "README.md")];

const RUST: Template = Template {
    language: "Rust",
    needs: "Rust with the target wasm32-wasip2 (`rustup target add wasm32-wasip2`)",
    build: "cargo build --release --target wasm32-wasip2",
    component: "target/wasm32-wasip2/release/{{name}}.wasm",
    files: &[
        file!("Cargo.toml", "rust/Cargo.toml"),
        file!("src/main.rs", "rust/src/main.rs"),
        file!(".gitignore", "rust/gitignore"),
    ],
};

const C: Template = Template {
    language: "C",
    needs: "a C compiler for wasm32-wasi: Zig (`pip install ziglang`, or ziglang.org), or the WASI SDK",
    build: "make",
    component: "app.wasm",
    files: &[file!("main.c", "c/main.c"), file!("Makefile", "c/Makefile"), file!(".gitignore", "gitignore")],
};

const GO: Template = Template {
    language: "Go",
    needs: "Go 1.21 or newer",
    build: "GOOS=wasip1 GOARCH=wasm go build -o app.wasm",
    component: "app.wasm",
    files: &[file!("main.go", "go/main.go"), file!("go.mod", "go/go.mod"), file!(".gitignore", "gitignore")],
};

const PYTHON: Template = Template {
    language: "Python",
    needs: "componentize-py (`pip install componentize-py`)",
    build: "componentize-py -d wit -w app componentize app -o app.wasm",
    component: "app.wasm",
    files: &[
        file!("app.py", "python/app.py"),
        file!("wit/world.wit", "python/wit/world.wit"),
        file!("wit/deps/cli/run.wit", "python/wit/deps/cli/run.wit"),
        file!(".gitignore", "gitignore"),
    ],
};

const JS: Template = Template {
    language: "JavaScript",
    needs: "Node.js 22 or newer, with npm",
    build: "npm install && npm run build",
    component: "app.wasm",
    files: &[
        file!("app.js", "js/app.js"),
        file!("package.json", "js/package.json"),
        file!("wit/world.wit", "js/wit/world.wit"),
        file!("wit/deps/cli/cli.wit", "js/wit/deps/cli/cli.wit"),
        file!(".gitignore", "js/gitignore"),
    ],
};

/// The longest name of a project, in letters.
const MAX_NAME: usize = 64;

/// Makes the project that the arguments name.
pub fn main(arguments: New) -> Result<ExitCode> {
    let template = match arguments.lang {
        Language::Rust => &RUST,
        Language::C => &C,
        Language::Python => &PYTHON,
        Language::Js => &JS,
        Language::Go => &GO,
    };
    let name = arguments.name.as_str();
    check_name(name)?;
    let directory = Path::new(name);
    fs::create_dir(directory).map_err(|error| {
        let problem = Problem::new(format!("cannot make the directory '{name}': {error}"));
        match error.kind() {
            ErrorKind::AlreadyExists => problem.help("take another name, or remove what is there"),
            _ => problem.help("go to a folder that you may write to"),
        }
    })?;
    for (file, text) in template.files.iter().chain(COMMON) {
        let path = directory.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot make '{}'", parent.display()))?;
        }
        fs::write(&path, fill(text, name, template)).with_context(|| format!("cannot write '{}'", path.display()))?;
    }
    eprintln!("{name}: a project in {}. Next:", template.language);
    eprintln!("\n    cd {name}\n    {}\n    mwasm run\n", template.build);
    eprintln!("It takes {}.", template.needs);
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> Result<()> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(letters) && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(Problem::usage(format!("'{name}' is no name for a project"))
        .help(format!("wanted small letters, digits, '-' and '_', a letter first, at most {MAX_NAME}"))
        .into())
}

fn fill(text: &str, name: &str, template: &Template) -> String {
    // An image is called after the app's file.
    let component = template.component.replace("{{name}}", name);
    let image = Path::new(&component).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    text.replace("{{component}}", &component)
        .replace("{{image}}", &image)
        .replace("{{language}}", template.language)
        .replace("{{needs}}", template.needs)
        .replace("{{build}}", template.build)
        .replace("{{name}}", name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mwasm_aot::manifest::Manifest;
    use mwasm_aot::target::Target;

    #[test]
    fn every_template_is_filled_and_its_manifest_is_read() {
        for template in [&RUST, &C, &GO, &PYTHON, &JS] {
            for (file, text) in template.files.iter().chain(COMMON) {
                let text = fill(text, "my-app", template);
                assert!(!text.contains("{{") && !text.contains("}}"), "{file} of {}", template.language);
                if *file == "mwasm.toml" {
                    let layer = Manifest::parse(file, &text, Path::new("")).unwrap().layer(Target::Xen);
                    let wanted = template.component.replace("{{name}}", "my-app");
                    assert_eq!(layer.component.unwrap(), Path::new(&wanted));
                }
            }
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(check_name("my-app_2").is_ok());
        for wrong in ["", "My", "2a", "a b", "a/b", "../a", &"a".repeat(65)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
    }
}
