// The hello app in JavaScript on QuickJS (WASI 0.3). The engine brings the language and no library, so everything that the app does is a
// typed import of the world in wit/, and what can wait is a promise. What it prints, and why, is in ../README.md.
import environment from "wasi:cli/environment@0.3.0";
import exit from "wasi:cli/exit@0.3.0";
import stderr from "wasi:cli/stderr@0.3.0";
import stdout from "wasi:cli/stdout@0.3.0";
import monotonicClock from "wasi:clocks/monotonic-clock@0.3.0";
import systemClock from "wasi:clocks/system-clock@0.3.0";
import preopens from "wasi:filesystem/preopens@0.3.0";
import random from "wasi:random/random@0.3.0";

// 2024-01-01T00:00:00Z in seconds since the Unix epoch: any clock that is set at all is past it.
const YEAR_2024 = Date.UTC(2024, 0, 1) / 1000;
// How often the monotonic clock is read to see that it never goes back.
const MONOTONIC_READINGS = 100;
const NOTE = "written by hello\n";

export const run = {
  async run() {
    const variables = new Map(environment.getEnvironment());
    await print("hello, component");
    for (const argument of environment.getArguments().slice(1)) await print(`argument: ${argument}`);
    await print(`greeting: ${variables.get("GREETING") ?? "unset"}`);
    await print(`site: ${await firstLineOfSite()}`);
    await print(`clock ${verdict(systemClock.now().seconds > YEAR_2024)}`);
    await print(`monotonic ${verdict(monotonicClockNeverGoesBack())}`);
    await print(`random ${verdict(randomBytesDiffer())}`);
    await print(`tmp ${verdict(await tmpKeepsANote())}`);
    await stderr.writeViaStream([encode("hello: done\n")]).read();
    exit.exitWithCode(Number(variables.get("EXIT_CODE") ?? 0));
  },
};

async function print(line) {
  await stdout.writeViaStream([encode(`${line}\n`)]).read();
}

function verdict(ok) {
  return ok ? "ok" : "wrong";
}

// UTF-8 without TextEncoder and TextDecoder, which are the web's and not the language's.
function encode(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (character) => character.charCodeAt(0));
}

function decode(bytes) {
  return decodeURIComponent(escape(String.fromCharCode(...bytes)));
}

function directory(name) {
  const found = preopens.getDirectories().find(([, path]) => path === name);
  if (!found) throw new Error(`no directory ${name}`);
  return found[0];
}

async function readFile(directoryName, name) {
  const file = await directory(directoryName).openAt({}, name, {}, { read: true });
  const [stream, result] = file.readViaStream(0);
  const bytes = [];
  for await (const chunk of stream) bytes.push(...chunk);
  await result.read();
  return decode(bytes);
}

async function firstLineOfSite() {
  try {
    return (await readFile("/site", "hello.txt")).split("\n", 1)[0];
  } catch {
    return "no file";
  }
}

function monotonicClockNeverGoesBack() {
  const readings = Array.from({ length: MONOTONIC_READINGS }, () => monotonicClock.now());
  return readings.every((reading, index) => index === 0 || readings[index - 1] <= reading);
}

function randomBytesDiffer() {
  const [first, second] = [0, 1].map(() => random.getRandomBytes(16));
  return first.length === 16 && first.some((byte, index) => byte !== second[index]);
}

async function tmpKeepsANote() {
  try {
    const file = await directory("/tmp").openAt({}, "note.txt", { create: true, truncate: true }, { write: true });
    await file.writeViaStream([encode(NOTE)], 0).read();
    return (await readFile("/tmp", "note.txt")) === NOTE;
  } catch {
    return false;
  }
}
