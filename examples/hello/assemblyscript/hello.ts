// The hello app in AssemblyScript: the standard library on WASI preview 1 by @assemblyscript/wasi-shim, and for files, which that lacks,
// the calls of preview 1 themselves. What it prints, and why, is in ../README.md.
import {
  fd_close,
  fd_prestat_dir_name,
  fd_prestat_get,
  fd_read,
  fd_write,
  oflags,
  path_open,
  prestat,
  rights,
} from "bindings/wasi_snapshot_preview1";

// 2024-01-01T00:00:00Z in milliseconds since the Unix epoch: any clock that is set at all is past it.
const YEAR_2024: i64 = 1_704_067_200_000;
// How often the monotonic clock is read to see that it never goes back.
const MONOTONIC_READINGS = 100;
const NOTE = "written by hello\n";
// More than any file here holds.
const MOST_BYTES = 4096;
// The first directory that the host opened for the app; 0, 1 and 2 are the standard streams.
const FIRST_DIRECTORY: u32 = 3;

// Where the adapter from preview 1 gets its memory. Without this export it would grow the memory by itself before the program starts, and
// AssemblyScript's allocator, which takes all the memory that it finds at its first use, would hand out the same bytes again.
export function cabi_realloc(old: usize, oldSize: usize, alignment: usize, size: usize): usize {
  return old == 0 ? heap.alloc(size) : heap.realloc(old, size);
}

function print(line: string): void {
  process.stdout.write(line + "\n");
}

function verdict(ok: bool): string {
  return ok ? "ok" : "wrong";
}

function monotonicClockNeverGoesBack(): bool {
  let before = process.hrtime();
  for (let i = 0; i < MONOTONIC_READINGS; i++) {
    const now = process.hrtime();
    if (now < before) return false;
    before = now;
  }
  return true;
}

function randomBytesDiffer(): bool {
  const first = new Uint8Array(16);
  const second = new Uint8Array(16);
  crypto.getRandomValues(first);
  crypto.getRandomValues(second);
  for (let i = 0; i < first.length; i++) {
    if (first[i] != second[i]) return true;
  }
  return false;
}

// The descriptor of the directory that the host opened under `name`, or 0.
function directory(name: string): u32 {
  // A prestat is a tag and the length of the name.
  const opened = new StaticArray<u32>(2);
  for (let fd = FIRST_DIRECTORY; fd_prestat_get(fd, changetype<prestat>(changetype<usize>(opened))) == 0; fd++) {
    const path = new ArrayBuffer(opened[1]);
    if (fd_prestat_dir_name(fd, changetype<usize>(path), path.byteLength) != 0) continue;
    if (String.UTF8.decode(path) == name) return fd;
  }
  return 0;
}

// Opens the file `name` in the directory that the host opened under `directoryName`; returns its descriptor, or 0.
function open(directoryName: string, name: string, flags: u16, allowed: u64): u32 {
  const path = String.UTF8.encode(name);
  const opened = new StaticArray<u32>(1);
  const within = directory(directoryName);
  if (within == 0) return 0;
  const error = path_open(within, 0, changetype<usize>(path), path.byteLength, flags, allowed, 0, 0, changetype<usize>(opened));
  return error == 0 ? opened[0] : 0;
}

// Reads a small file; null if there is none.
function readFile(directoryName: string, name: string): string | null {
  const file = open(directoryName, name, 0, rights.FD_READ);
  if (file == 0) return null;
  const buffer = new ArrayBuffer(MOST_BYTES);
  const vector: StaticArray<usize> = [changetype<usize>(buffer), buffer.byteLength];
  const count = new StaticArray<usize>(1);
  const error = fd_read(file, changetype<usize>(vector), 1, changetype<usize>(count));
  fd_close(file);
  return error == 0 ? String.UTF8.decode(buffer.slice(0, <i32>count[0])) : null;
}

function writeFile(directoryName: string, name: string, text: string): bool {
  const file = open(directoryName, name, oflags.CREAT | oflags.TRUNC, rights.FD_WRITE);
  if (file == 0) return false;
  const bytes = String.UTF8.encode(text);
  const vector: StaticArray<usize> = [changetype<usize>(bytes), bytes.byteLength];
  const count = new StaticArray<usize>(1);
  const error = fd_write(file, changetype<usize>(vector), 1, changetype<usize>(count));
  fd_close(file);
  return error == 0 && count[0] == bytes.byteLength;
}

function firstLineOfSite(): string {
  const text = readFile("/site", "hello.txt");
  return text ? text.split("\n", 1)[0] : "no file";
}

function tmpKeepsANote(): bool {
  return writeFile("/tmp", "note.txt", NOTE) && readFile("/tmp", "note.txt") == NOTE;
}

print("hello, component");
for (let i = 1; i < process.argv.length; i++) print("argument: " + process.argv[i]);
print("greeting: " + (process.env.has("GREETING") ? process.env.get("GREETING") : "unset"));
print("site: " + firstLineOfSite());
print("clock " + verdict(Date.now() > YEAR_2024));
print("monotonic " + verdict(monotonicClockNeverGoesBack()));
print("random " + verdict(randomBytesDiffer()));
print("tmp " + verdict(tmpKeepsANote()));
process.stderr.write("hello: done\n");
process.exit(process.env.has("EXIT_CODE") ? I32.parseInt(process.env.get("EXIT_CODE")) : 0);
