"""What the servers of this directory share. Each has a client of a backend, connected before the first request.

| request | what it does |
| --- | --- |
| `GET /ask/TEXT` | asks the backend for TEXT; the answer, and how often the client lost its connection before |
| `GET /leave/TEXT` | asks the backend, and the program ends before it has read the answer |
"""

import os
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NoReturn

ADDRESS = sys.argv[1]
"""Where the backend is: HOST:PORT, or the path of its socket."""
HOST, _, PORT = ADDRESS.rpartition(":")
ATTEMPTS = 3


def asked(ask: Callable[[str], object], text: str, errors: tuple[type[Exception], ...]) -> str:
    """Asks again where the client tells the program, with one of the errors, that its connection is lost."""
    for lost in range(ATTEMPTS):
        try:
            return f"{ask(text)}, lost {lost}"
        except errors as error:
            said = repr(error)
    return f"lost {ATTEMPTS}: {said}"


def serve(ask: Callable[[str], str], leave: Callable[[str], object], *errors: type[Exception]) -> NoReturn:
    """Serves with a thread for each connection, as most who have pools do.

    Without a second argument `start`, it is a request that makes the client connect.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            _, verb, text = self.path.split("/", 2)
            if verb == "leave":
                asked(leave, text, errors)
                os._exit(1)
            body = asked(ask, text, errors).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    if "start" in sys.argv[2:]:
        ask("at/start")
    ThreadingHTTPServer(("127.0.0.1", 0), Handler).serve_forever()
