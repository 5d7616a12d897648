"""An HTTP handler in Python: CPython, made a component by componentize-py, on WASI 0.2. What it answers is in ../README.md."""

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports.types import (
    ErrorCode_InternalError,
    Fields,
    IncomingBody,
    IncomingRequest,
    Method_Post,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

# The most that is moved at a time, in bytes: what a stream takes at once (wasi:io/streams, blocking-write-and-flush).
CHUNK_BYTES = 4096
# The most that /bytes/N gives.
MAX_BYTES = 1 << 30
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"
TEXT = ("content-type", b"text/plain")


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        path = (request.path_with_query() or "/").partition("?")[0]
        prefix, _, count = path.rpartition("/")
        try:
            if path == "/":
                send_text(response_out, 200, b"hello over HTTP\n")
            elif path == "/echo" and isinstance(request.method(), Method_Post):
                echo(request, response_out)
            elif path == "/echo":
                send_text(response_out, 405, b"method not allowed\n", ("allow", b"POST"))
            elif path == "/headers":
                send_text(response_out, 200, header_lines(request), ("x-answer", b"yes"))
            elif prefix == "/bytes" and count.isdecimal() and int(count) <= MAX_BYTES:
                send_alphabet(response_out, int(count))
            else:
                send_text(response_out, 404, b"not found\n")
        except Err:
            # A client that went away is no concern of the app's.
            pass


class Answer:
    """A body that is being written."""

    def __init__(self, out: ResponseOutparam, status: int, *fields: tuple[str, bytes]):
        """Sends the head."""
        try:
            head = Fields.from_list(list(fields))
        except Err:
            ResponseOutparam.set(out, Err(ErrorCode_InternalError(None)))
            raise
        response = OutgoingResponse(head)
        response.set_status_code(status)
        self.body = response.body()
        self.stream = self.body.write()
        ResponseOutparam.set(out, Ok(response))

    def write(self, content: bytes) -> None:
        for start in range(0, len(content), CHUNK_BYTES):
            self.stream.blocking_write_and_flush(content[start : start + CHUNK_BYTES])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.__exit__(None, None, None)
        OutgoingBody.finish(self.body, None)


def send_text(out: ResponseOutparam, status: int, text: bytes, *more: tuple[str, bytes]) -> None:
    with Answer(out, status, TEXT, *more) as answer:
        answer.write(text)


def echo(request: IncomingRequest, out: ResponseOutparam) -> None:
    given = request.headers().get("content-type")
    with Answer(out, 200, ("content-type", given[0] if given else b"application/octet-stream")) as answer:
        body = request.consume()
        with body.stream() as stream:
            while True:
                try:
                    piece = stream.blocking_read(CHUNK_BYTES)
                except Err:
                    break
                answer.write(piece)
        IncomingBody.finish(body).__exit__(None, None, None)


def header_lines(request: IncomingRequest) -> bytes:
    # Hosts may give the names of fields as they were sent.
    entries = [(name.lower(), value) for name, value in request.headers().entries()]
    fields = sorted((name, value) for name, value in entries if name.startswith("x-"))
    return b"".join(name.encode() + b": " + value + b"\n" for name, value in fields)


def send_alphabet(out: ResponseOutparam, count: int) -> None:
    # As many alphabets as fit: every piece starts with an 'a'.
    piece = ALPHABET * (CHUNK_BYTES // len(ALPHABET))
    with Answer(out, 200, TEXT) as answer:
        while count > 0:
            answer.write(piece[:count])
            count -= len(piece)
