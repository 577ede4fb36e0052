"""Requests over plain sockets: fast, and nothing in between."""

from __future__ import annotations

import socket

from timeouts import scaled

from warmfork import Snapshot


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
    return client, connection


def port_of(snapshot: Snapshot) -> int:
    """Where its forks listen."""
    return int(snapshot.info()["listening"][0].rsplit(":", 1)[1])


def ask(port: int, request: bytes) -> bytes:
    """Sends a request on a connection of its own; the whole answer, empty when there was none."""
    with socket.create_connection(("127.0.0.1", port), timeout=scaled(60)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        return all_of(connection)


def all_of(connection: socket.socket) -> bytes:
    """All bytes until the connection ends, in any way."""
    answer = []
    try:
        while more := connection.recv(1 << 16):
            answer.append(more)
    except ConnectionError:
        pass
    return b"".join(answer)


def get(path: str, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP request."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def body_of(answer: bytes) -> bytes:
    """The body of an HTTP answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"200", answer
    return body
