"""http.server with a handler class: one thread, or one for each connection."""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import contract


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        status, body = contract.answer(self.command, self.path, self.rfile.read(length))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


KINDS = {"plain": HTTPServer, "threading": ThreadingHTTPServer}
KINDS[sys.argv[1]](("127.0.0.1", 0), Handler).serve_forever()
