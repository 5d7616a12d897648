//! What the tests of the command line share: apps in text form, and a folder with `mwasm` in it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An app that prints `hello` and ends with this code, by `wasi:cli/exit`.
pub fn hello(code: u8) -> String {
    console_app(&format!(
        r#"(data (i32.const 64) "hello\n")
      (func (export "run") (result i32)
        (call $write (call $get-stdout) (i32.const 64) (i32.const 6) (i32.const 0))
        (call $exit (i32.const {code}))
        (i32.const 0))"#
    ))
}

/// An app that says `ready` and then waits for input.
pub fn waits() -> String {
    console_app(
        r#"(data (i32.const 64) "ready\n")
      (func (export "run") (result i32)
        (call $write (call $get-stdout) (i32.const 64) (i32.const 6) (i32.const 0))
        (call $read (call $get-stdin) (i64.const 1) (i32.const 0))
        (i32.const 0))"#,
    )
}

/// An app that says `ready` and then writes what it reads, until it has read `count` bytes.
pub fn echoes(count: usize) -> String {
    console_app(&format!(
        r#"(data (i32.const 64) "ready\n")
      (func (export "run") (result i32)
        (local $in i32) (local $out i32) (local $left i32)
        (local.set $in (call $get-stdin))
        (local.set $out (call $get-stdout))
        (call $write (local.get $out) (i32.const 64) (i32.const 6) (i32.const 0))
        (local.set $left (i32.const {count}))
        (loop $more
          (call $read (local.get $in) (i64.extend_i32_u (local.get $left)) (i32.const 0))
          (call $write (local.get $out) (i32.load (i32.const 4)) (i32.load (i32.const 8)) (i32.const 16))
          (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 8))))
          (br_if $more (local.get $left)))
        (i32.const 0))"#
    ))
}

/// An app around a core module that has the console: `$get-stdout`, `$write`, `$get-stdin`, `$read` and `$exit`.
fn console_app(run: &str) -> String {
    CONSOLE_APP.replace("RUN", run)
}

const CONSOLE_APP: &str = r#"(component
  (import "wasi:io/error@0.2.12" (instance $error-interface (export "error" (type (sub resource)))))
  (alias export $error-interface "error" (type $error))
  (import "wasi:io/streams@0.2.12" (instance $streams
    (export "output-stream" (type $output (sub resource)))
    (export "input-stream" (type $input (sub resource)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $own-error (eq $outer-error)))
    (type $stream-error (variant (case "last-operation-failed" (own $own-error)) (case "closed")))
    (export "stream-error" (type $stream-error-export (eq $stream-error)))
    (type $done (result (error $stream-error-export)))
    (type $got (result (list u8) (error $stream-error-export)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result $done)))
    (export "[method]input-stream.blocking-read"
      (func (param "self" (borrow $input)) (param "len" u64) (result $got)))))
  (alias export $streams "output-stream" (type $output))
  (alias export $streams "input-stream" (type $input))
  (import "wasi:cli/stdout@0.2.12" (instance $stdout
    (alias outer 1 $output (type $outer-stream))
    (export "output-stream" (type $own-stream (eq $outer-stream)))
    (export "get-stdout" (func (result (own $own-stream))))))
  (import "wasi:cli/stdin@0.2.12" (instance $stdin
    (alias outer 1 $input (type $outer-stream))
    (export "input-stream" (type $own-stream (eq $outer-stream)))
    (export "get-stdin" (func (result (own $own-stream))))))
  (import "wasi:cli/exit@0.2.12" (instance $exit
    (export "exit" (func (param "status" (result))))
    (export "exit-with-code" (func (param "status-code" u8)))))
  (import "wasi:cli/stderr@0.2.12" (instance $stderr))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $memory (instantiate $memory))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $get-stdin (canon lower (func $stdin "get-stdin")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $memory "memory"))))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core func $exit (canon lower (func $exit "exit-with-code")))
  (core module $main
    (import "host" "memory" (memory 1))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "get-stdin" (func $get-stdin (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "exit" (func $exit (param i32)))
    RUN)
  (core instance $main (instantiate $main (with "host" (instance
    (export "memory" (memory $memory "memory"))
    (export "get-stdout" (func $get-stdout))
    (export "get-stdin" (func $get-stdin))
    (export "write" (func $write))
    (export "read" (func $read))
    (export "exit" (func $exit))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (component $wrap
    (import "run" (func $run (result (result))))
    (export "run" (func $run)))
  (instance $run (instantiate $wrap (with "run" (func $run))))
  (export "wasi:cli/run@0.2.12" (instance $run)))"#;

/// An app that divides by zero.
pub const TRAPS: &str = r#"(component
  (core module $main (func (export "run") (result i32) (i32.div_u (i32.const 1) (i32.const 0))))
  (core instance $main (instantiate $main))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (component $wrap (import "run" (func $run (result (result)))) (export "run" (func $run)))
  (instance $run (instantiate $wrap (with "run" (func $run))))
  (export "wasi:cli/run@0.2.12" (instance $run)))"#;

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
