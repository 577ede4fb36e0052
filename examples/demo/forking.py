"""The same app with a process for every connection: the usual way to keep requests apart."""

from __future__ import annotations

import socketserver
import sys
from wsgiref.simple_server import WSGIServer, make_server

from app import Handler, app


class ForkingServer(socketserver.ForkingMixIn, WSGIServer):
    """Forks for every connection."""

    max_children = 64


if __name__ == "__main__":
    make_server("127.0.0.1", int(sys.argv[1]), app, server_class=ForkingServer, handler_class=Handler).serve_forever()
