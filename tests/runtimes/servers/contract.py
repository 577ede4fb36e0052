"""What every server of these tests answers, for those written in Python. The C, Rust and Go ones do the same.

| request | answer |
| --- | --- |
| `GET /count` | how many requests this process has counted, this one included |
| `POST /echo` | the body |
| `GET /large` | `LARGE` |
| `GET /file` | what could be read from a new file of the request's own, and how many such files there were before |
"""

import tempfile
from pathlib import Path

LARGE = b"0123456789abcdef" * 65536
"""1 MiB: more than a socket takes at once."""

counted = 0


def count() -> bytes:
    """Counts, in a global that no request ever puts back."""
    global counted
    counted += 1
    return b"%d" % counted


def file() -> bytes:
    """Writes a file, reads it and leaves it for the next request."""
    before = len(list(Path(tempfile.gettempdir()).glob("request-*")))
    with tempfile.NamedTemporaryFile("w+", prefix="request-") as scratch:
        scratch.write("written by a request")
        scratch.seek(0)
        return f"{scratch.read()}, {before} before".encode()


def answer(method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """The status and the body for a request."""
    match method, path:
        case "GET", "/count":
            return 200, count()
        case "POST", "/echo":
            return 200, body
        case "GET", "/large":
            return 200, LARGE
        case "GET", "/file":
            return 200, file()
        case _:
            return 404, b"nothing here"
