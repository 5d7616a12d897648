//! What the tests of the command line share: apps in text form, and a folder with `mwasm` in it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An app that prints `hello` and ends with the code that its text says, by `wasi:cli/exit` at 0.2.
pub fn hello(code: u8) -> String {
    HELLO.replace("CODE", &code.to_string())
}

/// The canonical ABI's smallest app with output: a string in memory, a stream, an exit.
const HELLO: &str = r#"(component
  (import "wasi:io/error@0.2.0" (instance $error-interface (export "error" (type (sub resource)))))
  (alias export $error-interface "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $own-error (eq $outer-error)))
    (type $stream-error (variant (case "last-operation-failed" (own $own-error)) (case "closed")))
    (export "stream-error" (type $stream-error-export (eq $stream-error)))
    (type $done (result (error $stream-error-export)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result $done)))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $outer-stream))
    (export "output-stream" (type $own-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $own-stream))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))
    (export "exit-with-code" (func (param "status-code" u8)))))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin))
  (core module $memory (memory (export "memory") 1) (data (i32.const 64) "hello\n"))
  (core instance $memory (instantiate $memory))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $memory "memory"))))
  (core func $exit (canon lower (func $exit "exit-with-code")))
  (core module $main
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "exit" (func $exit (param i32)))
    (func (export "run") (result i32)
      (call $write (call $get-stdout) (i32.const 64) (i32.const 6) (i32.const 0))
      (call $exit (i32.const CODE))
      (i32.const 0)))
  (core instance $main (instantiate $main (with "host" (instance
    (export "get-stdout" (func $get-stdout))
    (export "write" (func $write))
    (export "exit" (func $exit))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (component $wrap
    (import "run" (func $run (result (result))))
    (export "run" (func $run)))
  (instance $run (instantiate $wrap (with "run" (func $run))))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#;

/// An app that divides by zero.
pub const TRAPS: &str = r#"(component
  (core module $main (func (export "run") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))
  (core instance $main (instantiate $main))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (component $wrap (import "run" (func $run (result (result)))) (export "run" (func $run)))
  (instance $run (instantiate $wrap (with "run" (func $run))))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#;

/// An app without an entry: `add`, and `greet`, which returns its argument.
pub const LIBRARY: &str = r#"(component
  (core module $main
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "greet") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0)))
  (core instance $main (instantiate $main))
  (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $main "add")))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $main "greet") (memory (core memory $main "memory"))
      (realloc (core func $main "realloc")))))"#;

/// A folder of its own, gone when the test ends.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs `mwasm` in the folder.
    pub fn mwasm(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `mwasm` in the folder, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwasm"));
        command.args(arguments).current_dir(self.path());
        command
    }
}

/// What a program wrote to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a program wrote to standard output.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether the tested `mwasm` carries the host objects; without, `mwasm aot` must say how to get them.
pub fn has_hosts() -> bool {
    use mwasm_aot::target::Target;
    Target::ALL
        .iter()
        .all(|target| mwasm_aot::fuse::has_host(&mwasm_aot::fuse::host_name(*target, target.default_arch(), false)))
}
