"""Who connects before a program is frozen is served by a fork: what he sends is in no other connection's memory."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from patience import patience
from talking import all_of, ask, port_of

from warmfork import Machine, Policy

STRANGERS = 3


def booted(guest: Callable[[str], str], directory: Path) -> tuple[Machine, list[socket.socket]]:
    """A machine that is ready, and connections that came to it before, each with a request."""
    for name in ("port", "go"):
        os.mkfifo(directory / name)
    policy = Policy(allow_net=True, volumes=[f"{directory}:/scratch:rw"])
    machine = Machine([guest("early")], policy=policy, cwd="/scratch")
    with ThreadPoolExecutor(1) as thread:
        ready = thread.submit(machine.boot, patience(60.0))
        port = int((directory / "port").read_text())
        strangers = [socket.create_connection(("127.0.0.1", port), timeout=patience(60.0)) for _ in range(STRANGERS)]
        for stranger in strangers:
            stranger.sendall(b"count\n")
        (directory / "go").write_text("go")
        ready.result()
    return machine, strangers


def answers(strangers: list[socket.socket]) -> list[bytes]:
    """What each of them is told."""
    said = []
    for stranger in strangers:
        with stranger:
            said.append(all_of(stranger))
    return said


def test_strangers_are_served_by_forks(guest: Callable[[str], str], tmp_path: Path) -> None:
    machine, strangers = booted(guest, tmp_path)
    with machine:
        machine.warm_up(2)
        snapshot = machine.freeze()
    with snapshot.serve():
        assert answers(strangers) == [b"3 done\n"] * STRANGERS
        assert ask(port_of(snapshot), b"count\n") == b"3 done\n"


def test_strangers_are_served_by_forks_of_the_moment_that_was_taken(
    guest: Callable[[str], str], tmp_path: Path
) -> None:
    machine, strangers = booted(guest, tmp_path)
    with machine:
        machine.warm_up(2)
        snapshot = machine.freeze(3)
    with snapshot.serve():
        answered = answers(strangers)
        assert answered[0] in (b"3 done\n", b"4 done\n", b"5 done\n")
        assert answered == [answered[0]] * STRANGERS
        assert ask(port_of(snapshot), b"count\n") == answered[0]


def test_strangers_are_served_by_a_fork_that_is_not_reset(guest: Callable[[str], str], tmp_path: Path) -> None:
    machine, strangers = booted(guest, tmp_path)
    with machine:
        snapshot = machine.freeze()
    with snapshot.serve(ephemeral=False):
        assert answers(strangers) == [b"1 done\n", b"2 done\n", b"3 done\n"]
        assert ask(port_of(snapshot), b"count\n") == b"4 done\n"


def test_a_machine_that_goes_on_serves_them_itself(guest: Callable[[str], str], tmp_path: Path) -> None:
    machine, strangers = booted(guest, tmp_path)
    with machine, ThreadPoolExecutor(1) as thread:
        running = thread.submit(machine.run, patience(60.0))
        assert answers(strangers) == [b"1 done\n", b"2 done\n", b"3 done\n"]
        machine.interrupt()
        running.result()
