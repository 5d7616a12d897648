"""A small site in Python: CPython and its standard library, made a component by componentize-py, as an HTTP handler of WASI 0.2. What it
answers is in ../README.md."""

import html
import os
import urllib.parse

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.types import (
    Fields,
    IncomingRequest,
    Method_Get,
    Method_Head,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

# Where the site's files are.
SITE = "/site"
# The most that a stream takes at a time, in bytes (wasi:io/streams, blocking-write-and-flush).
CHUNK_BYTES = 4096
HTML = "text/html; charset=utf-8"
MEDIA_TYPES = {
    ".html": HTML,
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        status, fields, body = answer(request)
        fields["content-length"] = str(len(body))
        response = OutgoingResponse(Fields.from_list([(name, value.encode()) for name, value in fields.items()]))
        response.set_status_code(status)
        outgoing = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        try:
            # For HEAD, too: the host sends no more than the head of it.
            with outgoing.write() as stream:
                for start in range(0, len(body), CHUNK_BYTES):
                    stream.blocking_write_and_flush(body[start : start + CHUNK_BYTES])
            OutgoingBody.finish(outgoing, None)
        except Err:
            # A client that went away is no concern of the app's.
            pass


def answer(request: IncomingRequest) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and body of the answer."""
    if not isinstance(request.method(), (Method_Get, Method_Head)):
        fields = {"content-type": "text/plain; charset=utf-8", "allow": "GET, HEAD"}
        return 405, fields, b"method not allowed\n"
    path, _, query = (request.path_with_query() or "/").partition("?")
    if path == "/hello":
        return 200, {"content-type": HTML}, hello(query)
    found = read(path)
    if found is None:
        return 404, {"content-type": HTML}, page("Not found", "<p>There is no such page.</p>")
    media_type, content = found
    return 200, {"content-type": media_type}, content


def hello(query: str) -> bytes:
    """The page that greets."""
    name = urllib.parse.parse_qs(query).get("name", [""])[0]
    greeted = html.escape(name) if name.strip() else "stranger"
    return page("Hello", f"<p>Hello, {greeted}!</p>")


def page(title: str, content: str) -> bytes:
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<link rel="stylesheet" href="/style.css">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{content}\n'
        '<p><a href="/">Back</a></p>\n</main>\n</body>\n</html>\n'
    ).encode()


def read(path: str) -> tuple[str, bytes] | None:
    """Media type and content of the file that the path of a request names."""
    name = path.lstrip("/") or "index.html"
    # The filesystem lets nobody out of the directory; this says so before it is asked.
    if any(part == "" or part.startswith(".") for part in name.split("/")):
        return None
    try:
        with open(os.path.join(SITE, name), "rb") as file:
            return MEDIA_TYPES.get(os.path.splitext(name)[1], "application/octet-stream"), file.read()
    except OSError:
        return None
