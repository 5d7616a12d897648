"""Asks an HTTP handler of examples/http over one connection, with Python's own client: client.py PORT"""

import http.client
import socket
import sys

port = int(sys.argv[1])
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=200)
connection.connect()
first = connection.sock
for size in [0, 1, 1000, 70_000]:
    body = bytes(i * 31 % 256 for i in range(size))
    connection.request("POST", "/echo", body, {"content-type": "application/x-test"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    assert answer.getheader("content-type") == "application/x-test", answer.getheaders()
    assert answer.read() == body, size


def pieces():
    for i in range(50):
        yield f"piece {i};".encode()


connection.request("POST", "/echo", pieces(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
assert connection.getresponse().read() == b"".join(pieces())
connection.request("HEAD", "/bytes/100")
answer = connection.getresponse()
assert (answer.status, answer.read()) == (200, b"")
assert connection.sock is first, "the connection was not kept"

# Three requests at once: their answers come in order.
with socket.create_connection(("127.0.0.1", port), timeout=200) as raw:
    raw.sendall(b"GET /bytes/3 HTTP/1.1\r\nhost: t\r\n\r\nGET /none HTTP/1.1\r\nhost: t\r\n\r\n"
                b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
    answers = b""
    while piece := raw.recv(65536):
        answers += piece
    bodies = [answers.find(text) for text in (b"abc", b"not found", b"hello over HTTP")]
    assert -1 not in bodies and bodies == sorted(bodies), answers
    assert answers.count(b"HTTP/1.1 ") == 3, answers
print("all as it should be")
