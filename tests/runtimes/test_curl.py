"""curl, unmodified, against a server of this machine: what it prints, how it ends and what it stores is as natively."""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from serving import TIMEOUT, WARMFORK, environment

LARGE = bytes(range(256)) * 4096
# URL stands for the server's address.
LINES = [
    "-sS URL/small",
    "-sSi URL/small",
    "-sS -o large URL/large",
    "-sS -r 1000-1009 -o part URL/large",
    "-sS -d field=value --data-urlencode 'other=a b&c' URL/echo",
    "-sS -T words URL/echo",
    "-sS -F 'file=@words;type=text/plain' -o form -w '%{http_code} %{method}' URL/length",
    "-sSL -w '%{num_redirects} %{http_code}' URL/moved",
    "-sSf URL/missing",
    "-sS URL/small URL/small -w '%{num_connects}'",
    "-sS -Z --no-progress-meter URL/small URL/small URL/small",
    "-sSI URL/large",
    "-sS -c jar -b given=1 URL/cookie",
    "-sS --compressed URL/small",
    "-s http://127.0.0.1:1/",  # the message has a time in it
    "-sS file:///proc/self/nothing",
]


class Handler(BaseHTTPRequestHandler):
    """Answers the same to the same."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Sends all of it, without a date."""
        self.send_response_only(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        match self.path:
            case "/small":
                self.answer(200, b"small\n")
            case "/large" if wanted := self.headers.get("Range"):
                first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
                self.answer(206, LARGE[first : last + 1])
            case "/large":
                self.answer(200, LARGE)
            case "/moved":
                self.answer(302, b"", Location="/small")
            case "/cookie":
                self.answer(200, self.headers.get("Cookie", "").encode(), Set_Cookie="taken=2; Path=/")
            case _:
                self.answer(404, b"nothing here\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, body if self.path == "/echo" else b"%d\n" % len(body))

    def do_PUT(self) -> None:
        self.do_POST()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the server is, natively."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def run(command: list[str | Path], directory: Path) -> tuple[int, bytes, bytes, dict[str, bytes]]:
    """How a command ends in a new directory, what it says, and the files that are there then."""
    directory.mkdir()
    (directory / "words").write_text("one two\nthree\n")
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment() | {"LC_ALL": "C.UTF-8", "HOME": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    return done.returncode, done.stdout, done.stderr, files


@pytest.mark.shows("as natively", of="curl")
@pytest.mark.parametrize("line", LINES)
def test_as_natively(line: str, address: str, tool: Callable[[str, str], str], tmp_path: Path) -> None:
    command: list[str | Path] = [tool("curl", "curl"), *shlex.split(line.replace("URL", f"http://{address}"))]
    expected = run(command, tmp_path / "native")
    allowed = ("--allow-read", f"--allow-write={tmp_path}", "--allow-env=LC_ALL,HOME", "--allow-net")
    assert run([WARMFORK, "run", *allowed, "--", *command], tmp_path / "guest") == expected


@pytest.mark.shows("within a policy", of="curl")
def test_only_where_it_is_allowed(address: str, tool: Callable[[str, str], str], tmp_path: Path) -> None:
    command: list[str | Path] = [WARMFORK, "run", "--allow-read", "--allow-connect=127.0.0.1:1", "--"]
    status, output, said, _ = run([*command, tool("curl", "curl"), "-sS", f"{address}/small"], tmp_path / "guest")
    assert (status, output) == (7, b"")
    assert f"--allow-connect={address} would allow it".encode() in said
