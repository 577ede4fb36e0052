"""Requests that attack, crash, loop or exhaust cost their own connection and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import all_of, ask, port_of
from host_processes import IMAGE_BYTES, HostProcess, host_processes
from timeouts import scaled

from warmfork import Outcome, ServeOptions, Server, Snapshot

# What becomes of each request: the counter that it raises, or the answer that it gets.
CRASHES = [
    "null", "abort", "ud2", "int3", "icebp", "hlt", "cli", "in", "rdmsr", "cr3", "divide", "int80",
    "sysenter", "unaligned", "single-step", "single-step-call", "far-away", "kernel-code", "end-of-space", "no-stack",
    "bad-stack", "kernel-stack", "bad-return", "forged-return", "short-code", "short-code sysenter",
    "vsyscall-inside", "kill", "recurse",
]  # fmt: skip
EXITS = ["exit"]
TIMEOUTS = [
    "spin", "spin-calls", "spin-blocked", "sleep", "flood", "flood-faults", "flood-without-frames", "output",
    "allocate-file", "threads spin",
]  # fmt: skip
TOO_LARGE = [
    "touch",
    "fork-and-touch",
    "read-reserve",
    "read-zeroes",
    "fill-file",
    "fill-file-at-once",
    "fill-file-view",
    "break-storm",
]
ANSWERS = {
    "fine": "fine",
    "no-segments": "",
    "kernel-base": "",
    "kernel-thread-pointer": None,
    "vsyscall": "1",
    "flood-queue": "1",
    "fork": "1",
    "files": "1",
    "mapped-files": "1",
    "fill-pipes": "1",
    "fill-pairs": "1",
    "map-storm": "1 1",
    "threads": "1",
}


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot]) -> Snapshot:
    return freeze("hostile")


COUNTERS = ("crashes", "exits", "timeouts", "out_of_memory", "failures", "served")


def run(snapshot: Snapshot, request: str, counter: str, time: float = 60.0, memory: str = "64M") -> bytes:
    """Makes a hostile request, with ordinary ones before it, beside it and after it."""
    with snapshot.serve(ServeOptions(threads=2, max_request_time=time, max_request_memory=memory)) as server:
        return run_on(server, port_of(snapshot), request, counter)


def run_on(server: Server, port: int, request: str, counter: str) -> bytes:
    assert ask(port, b"fine\n") == b"fine done\n"
    with socket.create_connection(("127.0.0.1", port), timeout=100) as attack:
        attack.sendall(request.encode() + b"\n")
        assert ask(port, b"fine\n") == b"fine done\n"
        answer = all_of(attack)
    assert ask(port, b"fine\n") == b"fine done\n"
    server.stop(30.0)
    statistics = server.statistics()
    expected = dict.fromkeys(COUNTERS, 0)
    expected["served"] = 3
    expected[counter] += 1
    assert {name: statistics[name] for name in COUNTERS} == expected
    return answer


@pytest.mark.parametrize("request_line", CRASHES)
def test_a_crash(snapshot: Snapshot, request_line: str) -> None:
    assert run(snapshot, request_line, "crashes") == b""


def test_an_old_system_call_that_looks_like_a_new_one(snapshot: Snapshot, platform: str) -> None:
    # ptrace shows it as the new one; a virtual machine has no gate for it.
    run(snapshot, "int80-disguised", "served" if platform == "process" else "crashes")


@pytest.mark.parametrize("request_line", EXITS)
def test_an_exit(snapshot: Snapshot, request_line: str) -> None:
    assert run(snapshot, request_line, "exits") == b""


@pytest.mark.parametrize("request_line", TIMEOUTS)
def test_what_never_ends(snapshot: Snapshot, request_line: str) -> None:
    assert run(snapshot, request_line, "timeouts", 0.5) == b""


@pytest.mark.parametrize("request_line", TOO_LARGE)
def test_what_wants_too_much_memory(snapshot: Snapshot, request_line: str) -> None:
    before = largest_memory()
    assert run(snapshot, request_line, "out_of_memory") == b""
    assert largest_memory() - before < 512 << 20


def largest_memory() -> int:
    """The most memory that this process (with the engine in it) has had, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.parametrize(("request_line", "expected"), ANSWERS.items())
def test_what_is_answered(snapshot: Snapshot, request_line: str, expected: str | None) -> None:
    # A process that is forked on kvm has copies of what its parent wrote, not the parent's own pages.
    answer = run(snapshot, request_line, "served", memory="4G" if request_line == "fork" else "64M")
    if expected is not None:
        assert answer.split()[:-1] == expected.encode().split()


def test_an_endless_answer_ends(snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    with snapshot.serve(ServeOptions(max_request_time=scaled(0.5))) as server:
        assert len(ask(port, b"answer-much\n")) > 1 << 20
        assert ask(port, b"fine\n") == b"fine done\n"
        assert server.statistics()["timeouts"] == 1


@pytest.fixture
def fork(snapshot: Snapshot) -> Iterator[Any]:
    with snapshot.fork() as fork:
        yield fork


@pytest.fixture
def fork_and_stub(snapshot: Snapshot, needs_host_processes: None) -> Iterator[tuple[Any, HostProcess]]:
    before = host_processes()
    with snapshot.fork() as fork:
        (pid,) = host_processes() - before
        yield fork, HostProcess(pid)


def test_a_stub_has_one_file_and_no_capability_to_get_more(fork_and_stub: tuple[Any, HostProcess]) -> None:
    _, stub = fork_and_stub
    assert stub.files() == ["socket"]
    status = (stub.directory / "status").read_text()
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status


def test_the_stubs_code_is_no_way_out(fork_and_stub: tuple[Any, HostProcess], request_of: Any, tmp_path: Path) -> None:
    fork, stub = fork_and_stub
    escape = tmp_path / "escape"
    code, (table, _) = stub.code(), stub.shared_pages()
    length = len(stub.read(code, 4096).rstrip(b"\0"))
    assert 16 < length < 512
    for offset in range(length + 1):
        for own in (0, table):
            served = request_of(fork, f"resident {code + offset:x} {own:x} {escape}", timeout=0.05)
            assert served.outcome.kind in ("signaled", "timeout", "served"), (offset, served)
            assert not escape.exists()
            assert stub.files() == ["socket"]
            fork.reset()
    assert request_of(fork, "fine").answer == b"fine done\n"
    fork.reset()
    assert fork.differences() == []


def test_what_is_left_in_the_stubs_pages_is_gone(fork_and_stub: tuple[Any, HostProcess], request_of: Any) -> None:
    fork, stub = fork_and_stub
    start, end = stub.shared_pages()
    served = request_of(fork, f"write-shared-pages {start:x} {end:x} Pa55w0rd")
    assert served.answer == b"done\n"
    assert stub.read(start, end - start).count(b"Pa55w0rd") > 100
    fork.reset()
    assert b"Pa55w0rd" not in stub.read(start, end - start)
    assert request_of(fork, "fine").answer == b"fine done\n"


def test_the_stubs_pages_cannot_be_changed(fork_and_stub: tuple[Any, HostProcess], request_of: Any) -> None:
    fork, stub = fork_and_stub
    reserved = [(start, end) for start, end, _ in stub.maps() if stub.code() - IMAGE_BYTES <= start < 1 << 47]
    before = stub.maps()
    for start, end in reserved:
        served = request_of(fork, f"change-reserved {start:x} {min(end, start + 0x20000):x}")
        assert (served.outcome, served.answer) == (Outcome("served", 0), b"done\n")
    assert [line for line in stub.maps() if line[0] >= reserved[0][0]] == [
        line for line in before if line[0] >= reserved[0][0]
    ]
    fork.reset()
    assert fork.differences() == []


def test_calls_with_the_stubs_pages_do_no_harm(fork_and_stub: tuple[Any, HostProcess], request_of: Any) -> None:
    fork, stub = fork_and_stub
    start, end = stub.code(), stub.shared_pages()[1]
    served = request_of(fork, f"calls-into-reserved {start:x} {end:x}", timeout=1.0)
    assert served.outcome.kind in ("served", "signaled", "timeout")
    fork.reset()
    assert fork.differences() == []
    assert request_of(fork, "fine").answer == b"fine done\n"


@pytest.mark.parametrize("request_line", [*CRASHES, "exit", "no-segments", "kernel-base", "kernel-thread-pointer"])
def test_a_fork_comes_back_from(fork: Any, request_of: Any, request_line: str) -> None:
    for _ in range(2):
        assert request_of(fork, request_line).outcome.kind in ("signaled", "exited", "served")
        fork.reset()
        assert fork.differences() == []
    assert request_of(fork, "fine").answer == b"fine done\n"
