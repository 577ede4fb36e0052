"""An ordinary WSGI application that counts, remembers and draws random numbers."""

import json
import os
import random
import secrets
import sys
import tempfile
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

count = 0
remembered = []
local = threading.local()
random.seed(1)


def application(environ, start_response):
    global count
    count += 1
    path = environ["PATH_INFO"]
    answer = str(count)
    if path == "/random":
        answer = json.dumps([random.random(), os.urandom(16).hex(), secrets.token_hex(16), hash("text")])
    elif path == "/remember":
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        remembered.append(body.decode())
        remembered.append(environ.get("HTTP_X_SECRET", ""))
        local.secret = body
        os.environ["SECRET"] = body.decode()
        pipe = os.pipe()
        os.write(pipe[1], body)
        os.umask(0o077)
        sys.intern(body.decode())
        random.seed(body)
        with tempfile.SpooledTemporaryFile() as file:
            file.write(body)
        answer = "remembered"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer.encode()]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


make_server("127.0.0.1", 0, application, handler_class=Quiet).serve_forever()
