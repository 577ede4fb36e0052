"""A backend of the tests' own, outside: HTTP with connections that are kept; over TLS with a certificate and its key.

| request | answer |
| --- | --- |
| `GET /ask/TEXT` | TEXT |
| `GET /leave/TEXT` | more than whoever asks reads before it leaves |
"""

import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and a body are two pieces

    def do_GET(self):
        _, verb, text = self.path.split("/", 2)
        body = text.encode() if verb == "ask" else f"left by {text} ".encode() * 10000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Whoever left has ended its connection."""


server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
if sys.argv[2:]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*sys.argv[2:])
    # The handshake is made by the connection's own thread.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
