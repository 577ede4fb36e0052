"""A request finds nothing of an earlier one. Seeded generators go on from the snapshot; the host's do not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import ask, body_of, get, port_of
from host_processes import HostProcess, host_processes
from timeouts import scaled

from warmfork import Fork, Machine, Outcome, Policy, ServeOptions, Snapshot

GUESTS = Path(__file__).parent / "guests"
TEXT = "zQ7-kP9-wX2-" + "y" * 52
NUMBER = 0x35A7C3E1B5


def as_bytes(text: str) -> str:
    """The text as `describe` shows bytes, without the space around them."""
    return ",".join(str(byte) for byte in text.encode())


def held(fork: Fork, stub: HostProcess) -> dict[str, int]:
    """How often the secret is in each place where it can be."""
    kernel = re.sub(r"\s+", "", fork.describe())
    threads = fork.threads()
    vectors = b"".join(thread["vectors"] for thread in threads)
    number = NUMBER.to_bytes(8, "little")
    return {
        "text in memory": len(stub.places_of(TEXT[:12].encode())),
        "number in memory": len(stub.places_of(number)),
        "text in the kernel": kernel.count(as_bytes(TEXT[:12])),
        "number in the kernel": kernel.count(str(NUMBER)),
        "number in registers": sum(thread["registers"].count(NUMBER) for thread in threads),
        "text in vector registers": vectors.count(TEXT[:12].encode()),
        "number in vector registers": vectors.count(number),
        "text in the stub's pages": stub.read(*_span(stub)).count(TEXT[:12].encode()),
        "number in the stub's pages": stub.read(*_span(stub)).count(number),
    }


def _span(stub: HostProcess) -> tuple[int, int]:
    start, end = stub.shared_pages()
    return start, end - start


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot]) -> Snapshot:
    return freeze("secret")


@pytest.mark.usefixtures("needs_host_processes")
def test_a_secret_is_gone(snapshot: Snapshot, request_of: Any) -> None:
    before = host_processes()
    with snapshot.fork() as fork:
        (pid,) = host_processes() - before
        stub = HostProcess(pid)
        assert set(held(fork, stub).values()) == {0}
        for _ in range(3):
            served = request_of(fork, f"hide {TEXT} {NUMBER:x}")
            assert (served.outcome, served.answer) == (Outcome("served", 0), b"done\n")
            found = held(fork, stub)
            assert all(count > 0 for count in found.values()), found
            fork.reset()
            assert held(fork, stub) == dict.fromkeys(found, 0)
        assert fork.differences() == []


@pytest.mark.usefixtures("needs_host_processes")
def test_a_secret_is_gone_from_memory_that_is_dropped(snapshot: Snapshot, request_of: Any) -> None:
    # A server with no room for rewriting drops every page.
    before = host_processes()
    with snapshot.serve(ServeOptions(limit_request_memory=0)) as server:
        assert ask(port_of(snapshot), b"draw\n").endswith(b"done\n")
        (pid,) = host_processes() - before
        for _ in range(3):
            assert ask(port_of(snapshot), f"hide {TEXT} {NUMBER:x}\n".encode()) == b"done\n"
            assert ask(port_of(snapshot), b"draw\n").endswith(b"done\n")
        assert HostProcess(pid).places_of(TEXT[:12].encode()) == []
        assert HostProcess(pid).places_of(NUMBER.to_bytes(8, "little")) == []
        assert server.statistics()["forks"] == 1
        assert server.statistics()["resets_dropped"] >= 5


def test_chance_is_the_snapshots_but_fresh_entropy_is_fresh(snapshot: Snapshot, request_of: Any) -> None:
    with snapshot.fork() as fork, snapshot.fork() as other:
        answers = []
        for each in (fork, fork, other):
            answers.append(request_of(each, "draw").answer.split())
            each.reset()
    fixed, fresh, drawn, _ = zip(*answers, strict=True)
    assert len(set(fixed)) == 1
    assert len(set(fresh)) == 3
    assert len(set(drawn)) == 1


@pytest.fixture
def application(tool: Callable[[str, str], str]) -> Iterator[Snapshot]:
    python = tool("/usr/bin/python3", "python3")
    policy = Policy(allow_read=True, allow_listen=True)
    with Machine([python, str(GUESTS / "app.py")], policy=policy, env={"PYTHONHASHSEED": "0"}) as machine:
        machine.boot(scaled(60.0))
        machine.warm_up(2)
        yield machine.freeze()


def test_a_counter_stays_where_it_was(application: Snapshot) -> None:
    port, request = port_of(application), get("/")
    with application.serve() as server:
        for _ in range(10_000):
            assert ask(port, request)[-1:] == b"3"
        server.stop(10.0)
        statistics = server.statistics()
    assert statistics["served"] == statistics["connections"] == 10_000
    assert statistics["forks"] == 1


@pytest.mark.usefixtures("needs_host_processes")
def test_what_a_real_program_remembers_is_gone(application: Snapshot) -> None:
    port = port_of(application)
    before = host_processes()
    secret, header = b"body-9gT4-secret", "head-2vK8-secret"
    with application.serve():
        assert body_of(ask(port, get("/"))) == b"3"
        (pid,) = host_processes() - before
        stub = HostProcess(pid)
        for _ in range(5):
            assert body_of(ask(port, get("/remember", secret, X_Secret=header))) == b"remembered"
            # The reset happens before the next request is taken; this one leaves nothing of the kind.
            assert body_of(ask(port, get("/"))) == b"3"
            assert stub.places_of(secret) == []
            assert stub.places_of(header.encode()) == []


def test_a_real_programs_chance(application: Snapshot) -> None:
    port = port_of(application)
    with application.serve(ServeOptions(threads=2)):
        draws = [json.loads(body_of(ask(port, get("/random")))) for _ in range(6)]
    drawn, fresh, tokens, hashes = zip(*draws, strict=True)
    assert len(set(drawn)) == 1
    assert len(set(fresh)) == len(set(tokens)) == 6
    assert len(set(hashes)) == 1
