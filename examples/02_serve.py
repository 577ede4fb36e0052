"""Serves a Python web server, each connection in a pristine fork, and shows that its counter never gets beyond one.

.venv/bin/python examples/02_serve.py
"""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

from warmfork import Machine, Policy, ServeOptions

SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    visits = 0

    def do_GET(self):
        Handler.visits += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"visit {Handler.visits}".encode())

HTTPServer(("127.0.0.1", 0), Handler).serve_forever()
"""

python = str(Path(sys.executable).resolve())
policy = Policy(allow_read=True, allow_listen=["127.0.0.1"])
with Machine([python, "-c", SERVER], policy=policy, stdio=(0, 1, 2)) as machine:
    (address,) = machine.boot()
    snapshot = machine.freeze()
print("frozen:", snapshot.info())

with snapshot.serve(ServeOptions(threads=2, max_request_time=2.0)) as server:
    for _ in range(3):
        with urllib.request.urlopen(f"http://{address}/") as answer:
            print(answer.read().decode())  # visit 1, each time
    print(server.statistics()["connections"], "connections served")
