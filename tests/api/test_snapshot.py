"""Snapshots, forks and servers: everything that a request does is forgotten."""

from __future__ import annotations

import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from timeouts import scaled

from warmfork import (
    BootTimeout,
    GuestError,
    Machine,
    Outcome,
    Policy,
    ServeOptions,
    Snapshot,
    StateError,
    WarmforkError,
)

Guest = Callable[[str], str]
Ask = Callable[..., str]


def test_a_program_that_exits_is_not_ready(guest: Guest) -> None:
    with Machine([guest("program"), "exit", "3"]) as machine, pytest.raises(GuestError) as caught:
        machine.boot()
    assert str(caught.value) == "the program exited with status 3 before it was ready"
    assert "flag" in caught.value.hint


def test_a_program_that_never_listens_is_not_ready(guest: Guest) -> None:
    with Machine([guest("program"), "sleep"]) as machine, pytest.raises(BootTimeout, match=r"within 0\.05 s"):
        machine.boot(0.05)


def test_listening_must_be_allowed(guest: Guest) -> None:
    with Machine([guest("server")]) as machine, pytest.raises(GuestError, match="exited with status 1"):
        machine.boot(10.0)


def test_a_snapshot_says_what_is_in_it(frozen: tuple[Snapshot, int]) -> None:
    snapshot, port = frozen
    info = snapshot.info()
    assert info["listening"] == [f"127.0.0.1:{port}"]
    assert info["threads"] == 1
    assert info["fds"] == 4
    assert 0 < info["bytes"] == info["pages"] * 4096 <= info["mapped_bytes"]


def test_a_frozen_machine_is_over(booted: tuple[Machine, int]) -> None:
    machine, _ = booted
    machine.freeze()
    for call in (machine.run, machine.freeze, machine.boot, machine.statistics):
        with pytest.raises(StateError, match="frozen"):
            call()


def writable(areas: list[Any]) -> dict[str, Any]:
    return next(area for area in areas if area["writable"] and not area["shared"])


def test_what_is_written_is_forgotten(frozen: tuple[Snapshot, int]) -> None:
    with frozen[0].fork() as fork, frozen[0].fork() as other:
        address = writable(fork.areas())["start"]
        before = fork.read_memory(address, 64)
        assert fork.differences() == []
        fork.write_memory(address, b"changed")
        assert fork.read_memory(address, 7) == b"changed"
        assert other.read_memory(address, 64) == before
        assert fork.differences() == [f"memory at {address:#x}"]
        assert fork.reset() == "rewritten"
        assert fork.read_memory(address, 64) == before
        assert fork.differences() == []
        assert fork.statistics()["resets_rewritten"] == 1


def test_memory_that_is_not_there(frozen: tuple[Snapshot, int]) -> None:
    with frozen[0].fork() as fork:
        code = next(area for area in fork.areas() if area["executable"] and not area["writable"])
        with pytest.raises(WarmforkError, match="reading 16 bytes of guest memory at 0x1000 failed"):
            fork.read_memory(0x1000, 16)
        with pytest.raises(WarmforkError, match="writing 1 bytes of guest memory"):
            fork.write_memory(code["start"], b"x")
        with pytest.raises(WarmforkError, match="reading"):
            fork.read_memory(code["start"], 1 << 60)
        with pytest.raises(OverflowError):
            fork.read_memory(-1, 1)


def test_areas_are_in_order(frozen: tuple[Snapshot, int]) -> None:
    with frozen[0].fork() as fork:
        areas = fork.areas()
    assert all(area["start"] < area["end"] for area in areas)
    assert all(before["end"] <= after["start"] for before, after in itertools.pairwise(areas))
    assert any(area["name"] == "[stack]" for area in areas)


def test_a_fork_runs_on_from_the_snapshot(frozen: tuple[Snapshot, int], ask: Ask) -> None:
    with frozen[0].fork() as fork:
        assert fork.run(timeout=0.05) == Outcome("timeout", 0)
        assert fork.reset() in ("rewritten", "dropped")
        assert fork.differences() == []


def test_each_connection_is_the_first(frozen: tuple[Snapshot, int], ask: Ask) -> None:
    snapshot, port = frozen
    with snapshot.serve() as server:
        assert ask(port, "/keep/hidden") == "1 hidden"
        assert [ask(port) for _ in range(20)] == ["1"] * 20
        statistics = server.statistics()
    assert statistics["workers"] == 1
    assert statistics["connections"] == 21
    assert statistics["latency"]["count"] >= 20
    assert statistics["forks"] == 1


def test_forks_that_are_not_reset_remember(frozen: tuple[Snapshot, int], ask: Ask) -> None:
    snapshot, port = frozen
    with snapshot.serve(ServeOptions(ephemeral=False)):
        assert [ask(port) for _ in range(5)] == ["1", "2", "3", "4", "5"]


def test_warm_up_is_in_the_snapshot(booted: tuple[Machine, int], ask: Ask) -> None:
    machine, port = booted
    machine.warm_up(3, "/keep/warm")
    with machine.freeze().serve():
        assert [ask(port), ask(port)] == ["4 warm", "4 warm"]


def test_the_freeze_point_is_taken_before_a_request_that_is_cheap(booted: tuple[Machine, int], ask: Ask) -> None:
    machine, port = booted
    machine.warm_up(3, "/fourth")
    with machine.freeze(2, "/fourth").serve():
        assert [ask(port, "/fourth"), ask(port, "/fourth")] == ["5", "5"]
    with pytest.raises(StateError, match="frozen"):
        machine.freeze()


def test_several_freeze_points_need_a_program_that_answers(guest: Guest, booted: tuple[Machine, int]) -> None:
    with Machine([guest("program"), "sleep"]) as machine, pytest.raises(StateError, match="does not listen"):
        machine.freeze(2)
    machine, _ = booted
    with pytest.raises(GuestError, match="stopped during the warm-up"):
        machine.freeze(2, "/exit")


def test_ctrl_c_ends_a_warm_up_that_gets_no_answer(guest: Guest) -> None:
    code = f"""
import warmfork
policy = warmfork.Policy(allow_listen=True)
with warmfork.Machine([{guest("server")!r}], policy=policy, stdio=(0, 1, 2)) as machine:
    machine.boot(20.0)
    machine.warm_up(1, "/stall")
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stalls\n"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        took = time.monotonic() - began
    assert process.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in errors
    # Without an answer the warm-up gives up after 30 s.
    assert took < 15


def test_an_interrupted_warm_up_is_over(guest: Guest) -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb") as said, os.fdopen(write, "wb") as output:
        stdio = (output.fileno(),) * 3
        with Machine([guest("server")], policy=Policy(allow_listen=True), stdio=stdio) as machine:
            output.close()
            machine.boot(20.0)

            def interrupt_when(line: bytes) -> threading.Thread:
                def interrupt() -> None:
                    assert said.readline() == line
                    machine.interrupt()

                thread = threading.Thread(target=interrupt)
                thread.start()
                return thread

            thread = interrupt_when(b"stalls\n")
            with pytest.raises(GuestError, match="stopped during the warm-up: Interrupted"):
                machine.warm_up(5, "/stall")
            thread.join()
            thread = interrupt_when(b"broken\n")
            assert machine.run(timeout=60.0) == Outcome("interrupted", 0)
            thread.join()
            # None of the other four requests comes.
            assert machine.run(timeout=0.2) == Outcome("timeout", 0)
        assert said.read() == b""


@pytest.mark.parametrize(
    ("path", "counter", "options"),
    [
        ("/crash", "crashes", {}),
        ("/exit", "exits", {}),
        ("/spin", "timeouts", {"max_request_time": scaled(0.1)}),
        ("/sleep", "timeouts", {"max_request_time": scaled(0.1)}),
        ("/large", "out_of_memory", {"max_request_memory": "16M"}),
    ],
)
def test_what_goes_wrong_costs_its_own_connection(
    frozen: tuple[Snapshot, int], ask: Ask, path: str, counter: str, options: dict[str, Any]
) -> None:
    snapshot, port = frozen
    with snapshot.serve(ServeOptions(**options)) as server:
        for _ in range(3):
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                ask(port, path)
            assert ask(port) == "1"
        statistics = server.statistics()
    assert {name: statistics[name] for name in ("crashes", "exits", "timeouts", "out_of_memory", "failures")} == {
        "crashes": 0,
        "exits": 0,
        "timeouts": 0,
        "out_of_memory": 0,
        "failures": 0,
    } | {counter: 3}


def test_much_touched_memory_is_dropped(frozen: tuple[Snapshot, int], ask: Ask) -> None:
    snapshot, port = frozen
    with snapshot.serve(ServeOptions(limit_request_memory="1M")) as server:
        assert [ask(port, "/large"), ask(port), ask(port, "/large")] == ["1", "1", "1"]
        server.stop(10.0)
        statistics = server.statistics()
    assert statistics["resets_dropped"] == 2
    assert statistics["resets_rewritten"] == 1


def test_forks_serve_side_by_side(frozen: tuple[Snapshot, int], ask: Ask) -> None:
    snapshot, port = frozen
    with snapshot.serve(ServeOptions(threads=2)), socket.create_connection(("127.0.0.1", port)) as waiting:
        assert [ask(port) for _ in range(5)] == ["1"] * 5
        waiting.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert waiting.recv(1000).endswith(b"1 \n")


def test_an_open_connection_may_finish(frozen: tuple[Snapshot, int], ask: Ask) -> None:
    snapshot, port = frozen
    with (
        snapshot.serve(ServeOptions(threads=2)) as server,
        socket.create_connection(("127.0.0.1", port)) as open_connection,
    ):
        assert ask(port) == "1"
        assert not server.wait(0.0)
        server.stop(0.0)
        assert server.wait(0.0)
        server.stop(0.0)
        open_connection.settimeout(30)
        assert open_connection.recv(100) == b""


def test_output_of_forks_is_captured(frozen: tuple[Snapshot, int], booted: tuple[Machine, int], ask: Ask) -> None:
    snapshot, port = frozen
    with snapshot.serve():
        ask(port, "/say")
        ask(port, "/say")
    assert booted[0].output() == (b"said\nsaid\n", b"")


def test_what_does_not_listen_cannot_serve(guest: Guest) -> None:
    with Machine([guest("program"), "sleep"]) as machine:
        machine.run(0.05)
        snapshot = machine.freeze()
    with pytest.raises(StateError, match="does not listen"):
        snapshot.serve()


def test_policies_of_hosts_are_checked(guest: Guest) -> None:
    with pytest.raises(WarmforkError, match="host:port:more"):
        Machine([guest("server")], policy=Policy(allow_listen=["host:port:more"]))
