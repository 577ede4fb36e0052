"""A client that connects before the freeze is served by a fork: its bytes are in no other connection's memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients import all_of, ask, port_of
from timeouts import scaled

from warmfork import Machine, Policy, ServeOptions

STRANGERS = 3


def booted(guest: Callable[[str], str], directory: Path) -> tuple[Machine, list[socket.socket]]:
    """A machine that is ready, and connections that came to it before, each with a request."""
    for name in ("port", "go"):
        os.mkfifo(directory / name)
    policy = Policy(allow_net=True, volumes=[f"{directory}:/scratch:rw"])
    machine = Machine([guest("early")], policy=policy, cwd="/scratch")
    with ThreadPoolExecutor(1) as thread:
        ready = thread.submit(machine.boot, scaled(60.0))
        port = int((directory / "port").read_text())
        strangers = [socket.create_connection(("127.0.0.1", port), timeout=scaled(60.0)) for _ in range(STRANGERS)]
        for stranger in strangers:
            stranger.sendall(b"count\n")
        (directory / "go").write_text("go")
        ready.result()
    return machine, strangers


def answers(strangers: list[socket.socket]) -> list[bytes]:
    """The answer to each of them."""
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


def test_a_stranger_at_another_address_with_the_port_of_our_client_is_served_by_a_fork(
    guest: Callable[[str], str], tmp_path: Path
) -> None:
    machine, strangers = booted(guest, tmp_path)
    for name in ("client", "met"):
        os.mkfifo(tmp_path / name)
    with machine, ThreadPoolExecutor(1) as thread, socket.socket() as stranger:
        warm = thread.submit(machine.warm_up, 1, "/meet")
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.2", int((tmp_path / "client").read_text())))
        stranger.connect(strangers[0].getpeername())
        stranger.sendall(b"count\n")
        (tmp_path / "met").write_text("go")
        warm.result()
        snapshot = machine.freeze()
        with snapshot.serve():
            assert answers([*strangers, stranger]) == [b"2 done\n"] * (STRANGERS + 1)


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
    with snapshot.serve(ServeOptions(ephemeral=False)):
        assert answers(strangers) == [b"1 done\n", b"2 done\n", b"3 done\n"]
        assert ask(port_of(snapshot), b"count\n") == b"4 done\n"


def test_a_machine_that_goes_on_serves_them_itself(guest: Callable[[str], str], tmp_path: Path) -> None:
    machine, strangers = booted(guest, tmp_path)
    with machine, ThreadPoolExecutor(1) as thread:
        running = thread.submit(machine.run, scaled(60.0))
        assert answers(strangers) == [b"1 done\n", b"2 done\n", b"3 done\n"]
        machine.interrupt()
        running.result()


# In a network of its own, which has few ports for those who connect: all are taken by connections to somebody else.
FEW_PORTS = """
import ctypes, fcntl, socket, struct, sys
CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1
if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
    sys.exit("no network of its own")
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
    ports.write("42000 42007")
from warmfork import Machine, Policy
with Machine([sys.argv[1]], policy=Policy(allow_net=True), platform=sys.argv[2]) as machine:
    machine.boot(float(sys.argv[3]))
    somebody = socket.create_server(("127.0.0.1", 50000), backlog=64)
    connections = []
    try:
        while True:
            connections.append(socket.create_connection(("127.0.0.1", 50000)))
    except OSError:
        assert len(connections) >= 7
    machine.warm_up(3)
    print("warm")
"""


def test_a_warm_up_shares_ports_with_connections_to_others(guest: Callable[[str], str], platform: str) -> None:
    command = [sys.executable, "-c", FEW_PORTS, guest("clocks"), platform, str(scaled(20.0))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "no network of its own" in done.stderr:
        pytest.skip("no network namespace may be made here")
    assert done.stdout == "warm\n", done.stderr


@pytest.mark.parametrize("strangers", range(4))
def test_a_set_is_told_of_each_connection_once_it_has_accepted_what_waited(
    guest: Callable[[str], str], strangers: int
) -> None:
    request = b"GET / HTTP/1.0\r\n\r\n"
    with Machine([guest("edges")], policy=Policy(allow_net=True)) as machine:
        machine.boot(scaled(60.0))
        machine.warm_up(1)
        with ExitStack() as stack:
            address = machine.boot(scaled(60.0))[0].rsplit(":", 1)
            held = [
                stack.enter_context(socket.create_connection((address[0], int(address[1])))) for _ in range(strangers)
            ]
            for stranger in held:
                stranger.settimeout(scaled(60.0))
                stranger.sendall(request)
            machine.warm_up(1)
            snapshot = machine.freeze()
            with snapshot.serve(ServeOptions(ephemeral=False)):
                for number, stranger in enumerate(held, 3):
                    assert all_of(stranger).endswith(b"%02d" % number)
                for number in range(3):
                    assert ask(port_of(snapshot), request).endswith(b"%02d" % (3 + strangers + number))
