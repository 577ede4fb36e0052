"""What the flags of `warmfork serve` do to a real server: permissions, warm-up, workers, limits, metrics, the end."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from server_kinds import DEBIAN_PYTHON, KINDS, SERVERS, Kind
from serving import TIMEOUT, ask, serving, starting
from timeouts import scaled

pytestmark = pytest.mark.shows("flags", of="warmfork serve")
READ = "--allow-read"
LISTEN = "--allow-listen"
KIND = {kind.name: kind for kind in KINDS}


@pytest.fixture(scope="module")
def behaving(tool: Callable[[str, str], str]) -> list[str | Path]:
    """The command of a server that follows the orders of requests."""
    return [tool(DEBIAN_PYTHON, "python3"), "-B", SERVERS / "behaving.py"]


class Speaker:
    """A server that the program asks: the program's request is unfinished until this side answers."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.port = listener.getsockname()[1]

    def wait(self) -> socket.socket:
        """Returns when a request has come to where it waits for the word."""
        return self.listener.accept()[0]

    def say(self, stream: socket.socket, word: str) -> None:
        """Lets the request go on."""
        with stream:
            stream.sendall(f"{word}\n".encode())


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    """Listens on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        yield Speaker(listener)


@contextmanager
def in_background(call: Callable[[], str]) -> Iterator[Callable[[], str]]:
    """Runs ``call`` in a thread; the returned function waits for its result."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        yield lambda: future.result(TIMEOUT)


def cut(call: Callable[[], object]) -> None:
    """Expects that the connection ends without an answer."""
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        call()


# Permissions


def test_without_permission_to_read(behaving: list[str | Path]) -> None:
    with starting(behaving, LISTEN) as server:
        assert server.process.wait(TIMEOUT) == 125
        server.expect(r"warning: .* is denied: --allow-read=\S+ would allow it")
        server.expect("error: the program exited with status 1 before it was ready")


def test_reading_what_is_allowed(behaving: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("may be read")
    (tmp_path / "secret").write_text("may not be read")
    (tmp_path / "open" / "way-out").symlink_to("../secret")
    paths = [SERVERS, "/usr/lib", tmp_path / "open"]
    with serving(behaving, LISTEN, "--verbose", f"{READ}={','.join(map(str, paths))}") as server:
        assert server.get(f"/read{tmp_path}/open/file") == "may be read"
        for name in ("secret", "open/../secret", "open/way-out"):
            assert "PermissionError" in server.get(f"/read{tmp_path}/{name}")
        server.expect(rf"denied: --allow-read={tmp_path}/secret would allow it")
        assert "PermissionError" in server.get(f"/write{tmp_path}/open/file")
        server.expect(rf"denied: --allow-write={tmp_path}/open/file would allow it")
        assert (tmp_path / "open" / "file").read_text() == "may be read"


def test_writing_where_it_is_allowed(behaving: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with serving(behaving, LISTEN, READ, f"--allow-write={tmp_path}/out") as server:
        assert server.get(f"/write{tmp_path}/out/made") == "written"
        assert "PermissionError" in server.get(f"/write{tmp_path}/made")
    assert (tmp_path / "out" / "made").read_text() == "written"
    assert not (tmp_path / "made").exists()


def test_volumes(behaving: list[str | Path], tmp_path: Path) -> None:
    for name in ("fixed", "free"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"from {name}")
    volumes = [f"--volume={tmp_path}/fixed:/data/fixed", f"--volume={tmp_path}/free:/data/free:rw"]
    with serving(behaving, LISTEN, READ, *volumes) as server:
        assert server.get("/read/data/fixed/file") == "from fixed"
        assert server.get("/write/data/free/made") == "written"
        assert "Read-only file system" in server.get("/write/data/fixed/made")
    assert (tmp_path / "free" / "made").read_text() == "written"


def test_environment(behaving: list[str | Path]) -> None:
    variables = {"APP_ONE": "one", "APP_TWO": "two", "OTHER": "other"}
    options = ["--allow-env=APP_*", "--env=GIVEN=given=value"]
    with serving(behaving, LISTEN, READ, *options, env=variables) as server:
        names = ("APP_ONE", "APP_TWO", "OTHER", "GIVEN", "PATH")
        assert [server.get(f"/environment/{name}") for name in names] == ["one", "two", "unset", "given=value", "unset"]


def test_connecting_where_it_is_allowed(behaving: list[str | Path], speaker: Speaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        forbidden = other.getsockname()[1]
        with serving(behaving, LISTEN, READ, f"--allow-connect=127.0.0.1:{speaker.port}") as server:
            with in_background(lambda: server.get(f"/word/{speaker.port}")) as result:
                speaker.say(speaker.wait(), "allowed")
                assert result() == "the word is allowed"
            assert "Permi" in server.get(f"/word/{forbidden}")
            server.expect(rf"denied: --allow-connect=127\.0\.0\.1:{forbidden} would allow it")


def test_listening_where_it_is_allowed(behaving: list[str | Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*behaving, str(port)]
    with serving(command, READ, f"{LISTEN}=127.0.0.1:{port}") as server:
        assert server.port == port
        assert server.get("/count") == "1"
    with starting(command, READ, f"{LISTEN}=127.0.0.1:1") as server:
        assert server.process.wait(TIMEOUT) == 125
        server.expect(rf"denied: --allow-listen=127\.0\.0\.1:{port} would allow it")


# Warm-up and workers


@pytest.mark.parametrize("name", ["http.server-threads", "uvicorn", "flask", "go", "musl-epoll"])
def test_warm_up(name: str, command_of: Callable[[Kind], list[str | Path]]) -> None:
    options = [READ, LISTEN, "--warmup=5", "--warmup-path=/count", "--threads=2"]
    with serving(command_of(KIND[name]), *options) as server:
        server.expect("5 warm-up requests in .* 2 forks")
        assert [server.get("/count") for _ in range(6)] == ["6"] * 6


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_workers_serve_side_by_side(behaving: list[str | Path], speaker: Speaker, threads: int) -> None:
    """So many requests can be in the middle at once; one more waits for one of them to end."""
    options = [READ, LISTEN, "--allow-connect", f"--threads={threads}"]
    with serving(behaving, *options) as server, ThreadPoolExecutor(threads + 1) as clients:
        words = [clients.submit(server.get, f"/word/{speaker.port}") for _ in range(threads)]
        waiting = [speaker.wait() for _ in range(threads)]
        late = clients.submit(server.get, "/count")
        assert not late.done()
        speaker.say(waiting.pop(), "first")
        assert late.result(TIMEOUT) == "1"
        for stream in waiting:
            speaker.say(stream, "later")
        answers = sorted(word.result(TIMEOUT) for word in words)
        assert answers == sorted(["the word is first"] + ["the word is later"] * (threads - 1))


@pytest.mark.parametrize(
    "name", ["http.server-threads", "wsgiref", "uvicorn", "aiohttp", "waitress", "glibc-threads", "go"]
)
def test_without_resetting(name: str, command_of: Callable[[Kind], list[str | Path]]) -> None:
    with serving(command_of(KIND[name]), READ, LISTEN, "--no-ephemeral") as server:
        assert [server.get("/count") for _ in range(4)] == ["1", "2", "3", "4"]
        with ThreadPoolExecutor(4) as clients:
            counts = clients.map(lambda _: int(server.get("/count")), range(12))
            assert sorted(counts) == list(range(5, 17))


# Limits


def test_a_request_that_takes_too_long(behaving: list[str | Path]) -> None:
    with serving(behaving, READ, LISTEN, f"--max-request-time={scaled(300):.0f}ms") as server:
        for way in ("sleep", "spin", "lock", "silence"):
            cut(lambda way=way: server.get(f"/{way}"))
            assert server.get("/count") == "1"
        idle = server.connect()
        assert ask(idle, "/count") == b"1"
        assert idle.sock.recv(1) == b""
        idle.close()
        server.expect("took longer than --max-request-time", times=5)


def test_what_was_sent_before_a_long_computation_arrives(behaving: list[str | Path]) -> None:
    with starting(behaving, READ, LISTEN, "--max-request-time=1h") as server:
        server.wait_until_ready()
        with closing(server.connect()) as client:
            client.request("GET", "/early")
            assert client.sock.recv(5) == b"early"


def test_a_request_that_wants_too_much_memory(behaving: list[str | Path]) -> None:
    with serving(behaving, READ, LISTEN, "--max-request-memory=48M", "--limit-request-memory=8M") as server:
        assert server.get("/memory/16") == "16"  # reset by dropping pages
        cut(lambda: server.get("/memory/4000"))
        server.expect("wrote to more memory than --max-request-memory")
        assert server.get("/memory/16") == "16"
        assert server.get("/count") == "1"


# Settings, metrics, the end


def test_settings_from_a_file(behaving: list[str | Path], tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        f"""
        allow-read = ["/usr/lib", "{SERVERS}"]
        allow-listen = true
        env = ["GIVEN=by the file"]
        threads = 2
        warmup = 2
        warmup-path = "/count"
        max-request-time = "{scaled(300):.0f}ms"
        """
    )
    with serving(behaving, f"--config={tmp_path}/settings.toml", "--warmup=3") as server:
        server.expect("3 warm-up requests in .* 2 forks")
        assert server.get("/environment/GIVEN") == "by the file"
        assert server.get("/count") == "4"
        cut(lambda: server.get("/sleep"))


def test_metrics_during_traffic(behaving: list[str | Path], speaker: Speaker, tmp_path: Path) -> None:
    def scrape() -> dict[str, float]:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(TIMEOUT)
            stream.connect(f"{tmp_path}/metrics")
            stream.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = stream.makefile().read().partition("\n\n")[2]
        lines = (line.rpartition(" ") for line in text.splitlines() if line[:1] not in "#")
        return {name: float(value) for name, _, value in lines}

    options = [READ, LISTEN, "--allow-connect", "--threads=2", f"--metrics=unix:{tmp_path}/metrics"]
    with serving(behaving, *options) as server:
        assert scrape()["warmfork_connections_total"] == 0
        with in_background(lambda: server.get(f"/word/{speaker.port}")) as result:
            stream = speaker.wait()
            with ThreadPoolExecutor(2) as clients:
                assert set(clients.map(lambda _: server.get("/count"), range(20))) == {"1"}
            during = scrape()
            speaker.say(stream, "done")
            assert result() == "the word is done"
        assert during["warmfork_connections_total"] == 21
        assert during["warmfork_request_seconds_count"] in (19, 20)  # the last one's end may come after its answer
        assert during["warmfork_syscalls_total"] > 20


def test_stopping_during_a_request(behaving: list[str | Path], speaker: Speaker) -> None:
    with starting(behaving, READ, LISTEN, "--allow-connect") as server:
        server.wait_until_ready()
        with in_background(lambda: server.get(f"/word/{speaker.port}")) as result:
            stream = speaker.wait()
            server.process.send_signal(signal.SIGTERM)
            server.expect("stopping: open connections have 10s")
            speaker.say(stream, "finished")
            assert result() == "the word is finished"
        assert server.process.wait(TIMEOUT) == 0


def test_stopping_a_request_that_does_not_end(behaving: list[str | Path], speaker: Speaker) -> None:
    options = [READ, LISTEN, "--allow-connect", "--max-request-time=0", "--max-stop-time=200ms"]
    with starting(behaving, *options) as server:
        server.wait_until_ready()
        request = threading.Thread(target=cut, args=(lambda: server.get(f"/word/{speaker.port}"),))
        request.start()
        with speaker.wait():
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(TIMEOUT) == 0
        request.join(TIMEOUT)
        assert not request.is_alive()


# Programs that come with the interpreter


def test_http_server_as_a_module(tool: Callable[[str, str], str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>a page</p>")
    (tmp_path / "below").mkdir()
    command = [tool(DEBIAN_PYTHON, "python3"), "-m", "http.server", "0", "--bind=127.0.0.1"]
    with serving(command, READ, LISTEN, f"--cwd={tmp_path}") as server:
        for _ in range(3):
            assert server.get("/page.html") == "<p>a page</p>"
            listing = server.get("/")
            assert 'href="page.html"' in listing and 'href="below/"' in listing
            connection = server.connect()
            connection.request("GET", "/missing")
            assert connection.getresponse().status == 404
            connection.close()
