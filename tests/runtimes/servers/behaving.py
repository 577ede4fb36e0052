"""A server whose handlers do what a path says: wait for a word, hang in several ways, use much memory."""

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

served = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global served
        served += 1
        _, action, *words = self.path.split("/")
        try:
            body = getattr(self, f"do_{action}")(*words)
        except OSError as error:
            body = f"{type(error).__name__}: {error}"
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass

    def do_count(self):
        return str(served)

    def do_word(self, port):
        """The word that somebody says on a port."""
        with socket.create_connection(("127.0.0.1", int(port)), 60) as stream:
            return f"the word is {stream.makefile().readline().strip()}"

    def do_read(self, *parts):
        with open("/" + "/".join(parts)) as file:
            return file.read()

    def do_write(self, *parts):
        with open("/" + "/".join(parts), "w") as file:
            file.write("written")
        return "written"

    def do_environment(self, name):
        return os.environ.get(name, "unset")

    def do_sleep(self):
        time.sleep(1000)

    def do_spin(self):
        while True:
            pass

    def do_early(self):
        """Sends something and computes for ever."""
        self.connection.sendall(b"early")
        self.do_spin()

    def do_lock(self):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

    def do_silence(self):
        """Waits for more from a client that waits for an answer."""
        self.rfile.read(1)

    def do_memory(self, mebibytes):
        kept = [bytearray(b"x" * (1 << 20)) for _ in range(int(mebibytes))]
        return str(len(kept))


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler).serve_forever()
