"""A server of its own making: blocking calls (in one process or in several that were forked for it), or a loop over
select, poll or epoll with many connections at once."""

import os
import selectors
import socket
import sys
from contextlib import suppress

import contract


def answer(received: bytes) -> tuple[bytes | None, bytes]:
    """The answer to the first request in what was received, if it is all there, and what follows it."""
    head, found, rest = received.partition(b"\r\n\r\n")
    if not found:
        return None, received
    lines = head.decode().split("\r\n")
    method, path, _ = lines[0].split()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", 0))
    if len(rest) < length:
        return None, received
    status, body = contract.answer(method, path, rest[:length])
    keeping = headers.get("connection", "keep-alive")  # who wants it closed closes it after the answer
    reply = f"HTTP/1.1 {status} Answer\r\nContent-Length: {len(body)}\r\nConnection: {keeping}\r\n\r\n"
    return reply.encode() + body, rest[length:]


def serve_blocking(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            received = b""
            while data := connection.recv(65536):
                received += data
                reply, received = answer(received)
                if reply:
                    connection.sendall(reply)


def serve_forking(listener: socket.socket) -> None:
    """Two children accept; their parent waits for them."""
    for _ in range(2):
        if os.fork() == 0:
            serve_blocking(listener)
    os.wait()


class Connection:
    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream
        self.received = b""
        self.unsent = b""

    def handle(self, events: int) -> int:
        """Reads or writes what can be; the events to wait for next, 0 at the end."""
        if events & selectors.EVENT_READ:
            data = self.stream.recv(65536)
            if not data:
                return 0
            reply, self.received = answer(self.received + data)
            self.unsent += reply or b""
        if self.unsent:
            with suppress(BlockingIOError):
                self.unsent = self.unsent[self.stream.send(self.unsent) :]
        return selectors.EVENT_WRITE if self.unsent else selectors.EVENT_READ


def serve_selecting(listener: socket.socket, selector: selectors.BaseSelector) -> None:
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, events in selector.select():
            if key.data is None:
                stream, _ = listener.accept()
                stream.setblocking(False)
                selector.register(stream, selectors.EVENT_READ, Connection(stream))
            elif wanted := key.data.handle(events):
                selector.modify(key.fileobj, wanted, key.data)
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()


SELECTORS = {"select": selectors.SelectSelector, "poll": selectors.PollSelector, "epoll": selectors.EpollSelector}
listener = socket.create_server(("127.0.0.1", 0))
if sys.argv[1] == "blocking":
    serve_blocking(listener)
elif sys.argv[1] == "forking":
    serve_forking(listener)
else:
    serve_selecting(listener, SELECTORS[sys.argv[1]]())
