"""A TCP echo server in Python, on the socket and selectors modules of its own library. What it does is in ../README.md.

One loop waits for everything at once: for the listener, and for each client either that it has sent something or that it takes something,
never both. So a client that does not read is not read from, and no more than one chunk of its is in memory."""

import selectors
import socket
import sys

from wit_world import exports

DEFAULT_PORT = 7
# The most of a client's bytes that are in memory.
CHUNK_BYTES = 16 << 10


class Run(exports.Run):
    def run(self) -> None:
        port = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PORT
        listener = socket.create_server(("0.0.0.0", port))
        listener.setblocking(False)
        selector = selectors.DefaultSelector()
        selector.register(listener, selectors.EVENT_READ)
        print(f"echo: listening on port {port}", flush=True)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    accept(selector, listener)
                else:
                    go_on(selector, key.fileobj, key.data)


def accept(selector: selectors.BaseSelector, listener: socket.socket) -> None:
    try:
        client, _ = listener.accept()
    except OSError:
        # It went away while it waited.
        return
    client.setblocking(False)
    selector.register(client, selectors.EVENT_READ, bytearray())


def go_on(selector: selectors.BaseSelector, client: socket.socket, chunk: bytearray) -> None:
    """Goes on with a client that is ready; `chunk` was read and not written yet."""
    try:
        if chunk:
            del chunk[: client.send(chunk)]
        else:
            chunk += client.recv(CHUNK_BYTES)
            if not chunk:
                raise ConnectionError("the client has said all")
    except BlockingIOError:
        return
    except OSError:
        selector.unregister(client)
        client.close()
        return
    selector.modify(client, selectors.EVENT_WRITE if chunk else selectors.EVENT_READ, chunk)
