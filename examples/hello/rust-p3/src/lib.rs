//! The hello app in Rust on WASI 0.3: no standard input or output of the language, but the interfaces themselves, with their async
//! functions, streams and futures (crate `wasip3`). What it prints, and why, is in ../../README.md.

use wasip3::cli::{environment, exit, stderr, stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasip3::random::random;
use wasip3::wit_bindgen::{FutureReader, StreamReader};
use wasip3::wit_stream;

/// 2024-01-01T00:00:00Z in seconds since the Unix epoch: any clock that is set at all is past it.
const YEAR_2024: i64 = 1_704_067_200;
/// How often the monotonic clock is read to see that it never goes back.
const MONOTONIC_READINGS: usize = 100;
const NOTE: &str = "written by hello\n";

wasip3::cli::command::export!(Hello);

struct Hello;

impl wasip3::exports::cli::run::Guest for Hello {
    async fn run() -> Result<(), ()> {
        let variables = environment::get_environment();
        let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        print("hello, component").await?;
        for argument in environment::get_arguments().iter().skip(1) {
            print(&format!("argument: {argument}")).await?;
        }
        print(&format!("greeting: {}", variable("GREETING").unwrap_or("unset"))).await?;
        print(&format!("site: {}", first_line_of_site().await.as_deref().unwrap_or("no file"))).await?;
        print(&format!("clock {}", verdict(system_clock::now().seconds > YEAR_2024))).await?;
        print(&format!("monotonic {}", verdict(monotonic_clock_never_goes_back()))).await?;
        print(&format!("random {}", verdict(random_bytes_differ()))).await?;
        print(&format!("tmp {}", verdict(tmp_keeps_a_note().await.is_ok_and(|kept| kept)))).await?;
        write("hello: done\n", stderr::write_via_stream).await.map_err(drop)?;
        exit::exit_with_code(variable("EXIT_CODE").and_then(|code| code.parse().ok()).unwrap_or(0));
        Ok(())
    }
}

/// Writes one line to standard output. The program ends with an error where that fails.
async fn print(line: &str) -> Result<(), ()> {
    write(&format!("{line}\n"), stdout::write_via_stream).await.map_err(drop)
}

/// Hands the reading end of a stream to `take`, writes `text` to the other end, and waits for what `take` says of it.
async fn write<E: 'static>(
    text: &str,
    take: impl FnOnce(StreamReader<u8>) -> FutureReader<Result<(), E>>,
) -> Result<(), E> {
    let (mut writer, reader) = wit_stream::new();
    let taken = take(reader);
    writer.write_all(text.as_bytes().to_vec()).await;
    drop(writer);
    taken.await
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "wrong" }
}

fn directory(path: &str) -> Result<Descriptor, ErrorCode> {
    let found = preopens::get_directories().into_iter().find(|(_, name)| name == path);
    found.map(|(directory, _)| directory).ok_or(ErrorCode::NoEntry)
}

async fn read_file(directory_path: &str, name: &str) -> Result<String, ErrorCode> {
    let directory = directory(directory_path)?;
    let file =
        directory.open_at(PathFlags::empty(), name.to_owned(), OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (stream, result) = file.read_via_stream(0);
    let bytes = stream.collect().await;
    result.await?;
    String::from_utf8(bytes).map_err(|_| ErrorCode::IllegalByteSequence)
}

async fn first_line_of_site() -> Option<String> {
    let text = read_file("/site", "hello.txt").await.ok()?;
    text.lines().next().map(str::to_owned)
}

fn monotonic_clock_never_goes_back() -> bool {
    let readings: Vec<u64> = (0..MONOTONIC_READINGS).map(|_| monotonic_clock::now()).collect();
    readings.is_sorted()
}

fn random_bytes_differ() -> bool {
    let (first, second) = (random::get_random_bytes(16), random::get_random_bytes(16));
    first.len() == 16 && second.len() == 16 && first != second
}

async fn tmp_keeps_a_note() -> Result<bool, ErrorCode> {
    let flags = OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let file =
        directory("/tmp")?.open_at(PathFlags::empty(), "note.txt".to_owned(), flags, DescriptorFlags::WRITE).await?;
    write(NOTE, |stream| file.write_via_stream(stream, 0)).await?;
    Ok(read_file("/tmp", "note.txt").await? == NOTE)
}
