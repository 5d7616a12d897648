// The hello app in JavaScript on StarlingMonkey (WASI 0.2). The engine brings clocks and random numbers as the web has them; arguments,
// environment, files, output and exit are typed imports of the world in wit/. What it prints, and why, is in ../README.md.
import { getArguments, getEnvironment } from "wasi:cli/environment@0.2.12";
import { exitWithCode } from "wasi:cli/exit@0.2.12";
import { getStderr } from "wasi:cli/stderr@0.2.12";
import { getStdout } from "wasi:cli/stdout@0.2.12";
import { getDirectories } from "wasi:filesystem/preopens@0.2.12";

// Any clock that is set at all is past this.
const YEAR_2024 = Date.UTC(2024, 0, 1);
// How often the monotonic clock is read to see that it never goes back.
const MONOTONIC_READINGS = 100;
const NOTE = "written by hello\n";
// More than any file here holds.
const MOST_BYTES = 4096n;

export const run = {
  run() {
    const environment = new Map(getEnvironment());
    print("hello, component");
    for (const argument of getArguments().slice(1)) print(`argument: ${argument}`);
    print(`greeting: ${environment.get("GREETING") ?? "unset"}`);
    print(`site: ${firstLineOfSite()}`);
    print(`clock ${verdict(Date.now() > YEAR_2024)}`);
    print(`monotonic ${verdict(monotonicClockNeverGoesBack())}`);
    print(`random ${verdict(randomBytesDiffer())}`);
    print(`tmp ${verdict(tmpKeepsANote())}`);
    write(getStderr(), "hello: done\n");
    exitWithCode(Number(environment.get("EXIT_CODE") ?? 0));
  },
};

function print(line) {
  write(getStdout(), `${line}\n`);
}

function write(stream, text) {
  stream.blockingWriteAndFlush(new TextEncoder().encode(text));
}

function verdict(ok) {
  return ok ? "ok" : "wrong";
}

function directory(name) {
  const found = getDirectories().find(([, path]) => path === name);
  if (!found) throw new Error(`no directory ${name}`);
  return found[0];
}

function readFile(directoryName, name) {
  const file = directory(directoryName).openAt({}, name, {}, { read: true });
  const [bytes] = file.read(MOST_BYTES, 0n);
  return new TextDecoder().decode(bytes);
}

function firstLineOfSite() {
  try {
    return readFile("/site", "hello.txt").split("\n", 1)[0];
  } catch {
    return "no file";
  }
}

function monotonicClockNeverGoesBack() {
  const readings = Array.from({ length: MONOTONIC_READINGS }, () => performance.now());
  return readings.every((reading, index) => index === 0 || readings[index - 1] <= reading);
}

function randomBytesDiffer() {
  const [first, second] = [0, 1].map(() => crypto.getRandomValues(new Uint8Array(16)));
  return first.some((byte, index) => byte !== second[index]);
}

function tmpKeepsANote() {
  try {
    const file = directory("/tmp").openAt({}, "note.txt", { create: true, truncate: true }, { write: true });
    file.write(new TextEncoder().encode(NOTE), 0n);
    return readFile("/tmp", "note.txt") === NOTE;
  } catch {
    return false;
  }
}
