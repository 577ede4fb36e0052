"""The smallest wsgiref server: says Hello. An argument ``fork`` makes it fork for every connection."""

from __future__ import annotations

import socketserver
import sys
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def app(_environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Says Hello."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"Hello\n"]


class ForkingServer(socketserver.ForkingMixIn, WSGIServer):
    """Forks for every connection."""

    max_children = 64


class Handler(WSGIRequestHandler):
    """Does not log."""

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    kind = ForkingServer if sys.argv[2:] == ["fork"] else WSGIServer
    make_server("127.0.0.1", int(sys.argv[1]), app, server_class=kind, handler_class=Handler).serve_forever()
