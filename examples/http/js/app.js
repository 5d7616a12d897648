// An HTTP handler in JavaScript on StarlingMonkey: an event for each request, and the streams of the web. What it answers is in ../README.md.

// The most that is written at a time, in bytes.
const CHUNK_BYTES = 4096;
// The most that /bytes/N gives.
const MAX_BYTES = 2 ** 30;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz";

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  const bytes = /^\/bytes\/(\d{1,10})$/.exec(pathname);
  if (pathname === "/") return text(200, "hello over HTTP\n");
  if (pathname === "/echo" && request.method === "POST") return echo(request);
  if (pathname === "/echo") return text(405, "method not allowed\n", { allow: "POST" });
  if (pathname === "/headers") return text(200, headerLines(request), { "x-answer": "yes" });
  if (bytes && Number(bytes[1]) <= MAX_BYTES) return alphabet(Number(bytes[1]));
  return text(404, "not found\n");
}

function text(status, body, more = {}) {
  return new Response(body, { status, headers: { "content-type": "text/plain", ...more } });
}

function echo(request) {
  const type = request.headers.get("content-type") ?? "application/octet-stream";
  return new Response(request.body, { headers: { "content-type": type } });
}

function headerLines(request) {
  const fields = [...request.headers].filter(([name]) => name.startsWith("x-"));
  return fields.map(([name, value]) => `${name}: ${value}\n`).join("");
}

function alphabet(count) {
  // As many alphabets as fit: every piece starts with an 'a'.
  const piece = new TextEncoder().encode(ALPHABET.repeat(Math.floor(CHUNK_BYTES / ALPHABET.length)));
  const body = new ReadableStream({
    pull(controller) {
      const now = Math.min(count, piece.length);
      if (now > 0) controller.enqueue(piece.slice(0, now));
      count -= now;
      if (count === 0) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/plain" } });
}
