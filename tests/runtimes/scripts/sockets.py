"""Sockets of all kinds to a server in the same program, and every way to wait for them."""

import http.client
import http.server
import mmap
import os
import select
import selectors
import socket
import socketserver
import struct
import threading
import urllib.request


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line[::-1])


ADDRESSES = {socketserver.ThreadingTCPServer: ("127.0.0.1", 0), socketserver.ThreadingUnixStreamServer: "echo"}
for kind, address in ADDRESSES.items():
    with kind(address, Echo) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with socket.socket(server.address_family) as client:
            client.settimeout(30)
            client.connect(server.server_address)
            client.sendall(b"abc\ndef\n")
            client.shutdown(socket.SHUT_WR)
            print(client.makefile("rb").read())
        server.shutdown()


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.path} {self.headers['X-Word']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}/path", headers={"X-Word": "word"})
    with urllib.request.urlopen(request, timeout=30) as response:
        print(response.status, response.read())
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", "/again")
    print(connection.getresponse().read())
    connection.close()
    server.shutdown()

left, right = socket.socketpair()
for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
    with kind() as selector:
        selector.register(left, selectors.EVENT_READ | selectors.EVENT_WRITE, "left")
        selector.register(right, selectors.EVENT_READ, "right")
        print(kind.__name__, [(key.data, events) for key, events in selector.select()])
        right.send(b"word")
        print([(key.data, events) for key, events in selector.select()], left.recv(10))
        selector.unregister(left)
        print(selector.select(0.001))
print(select.select([left], [left], [], 0.001)[1] == [left])
left.sendmsg([b"scatter", b"ed"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", left.fileno()))])
data, ancillary, flags, _ = right.recvmsg(100, socket.CMSG_SPACE(4))
passed = struct.unpack("i", ancillary[0][2])[0]
print(data, len(ancillary), flags & socket.MSG_TRUNC, os.fstat(passed).st_ino == os.fstat(left.fileno()).st_ino)
os.close(passed)
right.settimeout(0.01)
try:
    right.recv(1)
except TimeoutError as error:
    print(error)
left.close()
print(right.recv(1))
try:
    right.send(b"nobody")
except BrokenPipeError as error:
    print(error)

first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
for datagrams in (first, second):
    datagrams.bind(("127.0.0.1", 0))
    datagrams.settimeout(30)
first.sendto(b"datagram", second.getsockname())
message, sender = second.recvfrom(100)
print(message, sender == first.getsockname(), second.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))
first.close()
second.close()
with socket.socket() as nobody:
    nobody.bind(("127.0.0.1", 0))
    try:
        socket.create_connection(nobody.getsockname(), 30)
    except ConnectionRefusedError as error:
        print(error)
with socket.create_server(("127.0.0.1", 0)) as listener:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = socket.create_connection(listener.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted, peer = listener.accept()
    print(peer == client.getsockname(), client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
    client.setblocking(False)
    sent = 0
    try:
        while True:
            sent += client.send(bytes(65536))
    except BlockingIOError as error:
        print(error)
    client.setblocking(True)
    threading.Thread(target=client.shutdown, args=(socket.SHUT_WR,)).start()
    got = 0
    while data := accepted.recv(65536):
        got += len(data)
    print(got == sent)
    client.close()
    accepted.close()

reading, writing = os.pipe()
poller = select.poll()
poller.register(reading, select.POLLIN)
print(poller.poll(0))
os.write(writing, b"piped")
os.close(writing)
print([events for _, events in poller.poll()], os.read(reading, 10), [events for _, events in poller.poll()])
counter = os.eventfd(5, os.EFD_SEMAPHORE) if hasattr(os, "eventfd") else None
print(os.eventfd_read(counter), os.eventfd_read(counter))
with open("mapped", "w+b") as file:
    file.truncate(3 * mmap.PAGESIZE)
    with mmap.mmap(file.fileno(), 0) as view:
        view[mmap.PAGESIZE - 2 : mmap.PAGESIZE + 2] = b"over"
        view.flush()
        print(view.find(b"over") == mmap.PAGESIZE - 2, os.pread(file.fileno(), 4, mmap.PAGESIZE - 2), len(view))
    with mmap.mmap(file.fileno(), mmap.PAGESIZE, access=mmap.ACCESS_COPY) as view:
        view[:4] = b"mine"
        print(view[:4], os.pread(file.fileno(), 4, 0))
with mmap.mmap(-1, 10000) as view:
    view.write(b"anonymous")
    print(view[:9], view[9999])
