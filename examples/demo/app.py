"""An ordinary WSGI app on Python's own server. It remembers too much, and knows nothing of warmfork.

Run it with a port: ``python3 app.py 8000``; or in warmfork, after ``warmfork serve --allow-read --allow-listen --``.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

SECRET_FILE = "/tmp/warmfork-demo-secret"

visits = 0
remembered: list[str] = []
pipes: list[int] = []


def remember(secret: str) -> None:
    """Leaves the secret wherever a careless program might."""
    remembered.append(secret)
    os.environ["SECRET"] = secret
    reader, writer = os.pipe()  # both are never closed
    os.write(writer, secret.encode())
    pipes.extend((reader, writer))
    os.chdir("/")
    os.umask(0o027)
    random.seed(secret)
    try:
        with open(SECRET_FILE, "w") as file:
            file.write(secret)
    except OSError as error:
        print(f"app: cannot write {SECRET_FILE}: {error.strerror}", file=sys.stderr)


def state() -> dict[str, object]:
    """What a request can see of those before it."""
    umask = os.umask(0)
    os.umask(umask)
    try:
        with open(SECRET_FILE) as file:
            on_disk = file.read()
    except OSError:
        on_disk = ""
    return {
        "a counter": visits,
        "a global": list(remembered),
        "an environment variable": os.environ.get("SECRET", ""),
        "an open file descriptor": sorted(os.listdir("/proc/self/fd")),
        "the working directory": os.getcwd(),
        "the umask": f"{umask:03o}",
        "the random state": random.getstate()[1][:4],
        "a file on disk": on_disk,
    }


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    global visits
    visits += 1
    path = environ["PATH_INFO"]
    body = b"Hello\n"
    if path == "/remember":
        remember(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode())
    elif path == "/state":
        body = json.dumps(state()).encode()
    elif path == "/crash":
        ctypes.string_at(0)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


class Handler(WSGIRequestHandler):
    """Does not log."""

    def log_message(self, *_arguments: object) -> None:
        pass


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Handler).serve_forever()
