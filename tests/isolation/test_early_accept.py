"""Early accept: a program is frozen with a connection accepted where no fork can tell. Each has its own instead."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable

import pytest
from clients import all_of, port_of
from timeouts import scaled

from warmfork import Machine, Policy, ServeOptions, Snapshot

ANSWER = re.compile(
    rb"(hello )?(\d+) accepted, (\d+) counted, from (\d+), known (\S*); (\d+) (\d+) (\d+) (\d+) (\d+)\n"
)


@pytest.fixture
def frozen(guest: Callable[[str], str]) -> Callable[..., Snapshot]:
    """Freezes the guest after one warm-up request, at one freeze point or the best of several."""

    def freeze(*arguments: str, freeze_points: int = 1, silent: bool = True) -> Snapshot:
        policy = Policy(allow_net=True)
        with Machine(
            [guest("early_accept"), *arguments], policy=policy, stdio=None if silent else (0, 1, 2)
        ) as machine:
            machine.boot(scaled(20.0))
            machine.warm_up(1)
            return machine.freeze(freeze_points)

    return freeze


def client_of(port: int) -> socket.socket:
    """A connection that says nothing yet."""
    return socket.create_connection(("127.0.0.1", port), timeout=scaled(60))


class Told:
    """A fork's report of its connection."""

    def __init__(self, port: int) -> None:
        with client_of(port) as client:
            self.port = client.getsockname()[1]
            client.sendall(b"GET\n")
            answer = all_of(client)
        found = ANSWER.fullmatch(answer)
        assert found, answer
        self.greeting, numbers, self.known = bool(found[1]), found.groups()[1:4], found[5].decode()
        self.accepted, self.counted, self.peer = map(int, numbers)
        self.options = tuple(map(int, found.groups()[5:]))


UNSET = (0, 0, 7200, 0, 0)
SET = (1, 1, 77, 7, 3)


@pytest.mark.parametrize("how", ["blocking", "epoll", "thread", "both"])
@pytest.mark.parametrize("what", ["nothing", "option", "early-read", "monotonic"])
def test_a_connection_is_accepted_early(frozen: Callable[..., Snapshot], how: str, what: str) -> None:
    snapshot = frozen(how, what)
    assert snapshot.info()["accepted"]
    with snapshot.serve() as server:
        for _ in range(5):
            told = Told(port_of(snapshot))
            # One warm-up request, and this connection.
            assert (told.accepted, told.counted) == (2, 2)
            assert told.peer == told.port
            assert told.options == (SET if what == "option" else UNSET)
    statistics = server.statistics()
    assert statistics["served"] == statistics["connections"] == 5
    assert statistics["forks"] == 1


@pytest.mark.parametrize("how", ["blocking", "epoll", "thread"])
@pytest.mark.parametrize("what", ["name", "peer", "now", "luck", "said", "greeting", "child", "inode", "other-option"])
def test_calls_that_depend_on_the_connection_are_left_to_the_forks(
    frozen: Callable[..., Snapshot], how: str, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    snapshot = frozen(how, what, silent=what != "said")
    assert not snapshot.info()["accepted"]
    capfd.readouterr()
    began = int(time.time())
    with snapshot.serve():
        told = [Told(port_of(snapshot)) for _ in range(3)]
    assert all(each.peer == each.port for each in told)
    # One warm-up request, and this connection.
    assert all(each.counted == 2 for each in told)
    match what:
        case "name" | "peer":
            assert all(each.known == str(each.port) for each in told)
        case "now":
            assert all(int(each.known) >= began for each in told)
        case "luck":
            assert len({each.known for each in told}) == 3
        case "said":
            assert capfd.readouterr().err == "accepted\n" * 3
        case "greeting":
            assert all(each.greeting for each in told)


def test_a_program_that_has_something_to_do_soon_is_not_frozen_with_a_connection(
    frozen: Callable[..., Snapshot],
) -> None:
    snapshot = frozen("often")
    assert not snapshot.info()["accepted"]
    with snapshot.serve():
        assert Told(port_of(snapshot)).counted >= 2


def test_a_listening_socket_that_waits_for_the_first_bytes(frozen: Callable[..., Snapshot]) -> None:
    snapshot = frozen("deferred")
    assert not snapshot.info()["accepted"]
    with snapshot.serve() as server:
        assert [Told(port_of(snapshot)).counted for _ in range(3)] == [2, 2, 2]
    # The silent client is not among those that wait for a fork.
    assert server.statistics()["connections"] == 3


def test_several_freeze_points(frozen: Callable[..., Snapshot]) -> None:
    snapshot = frozen("epoll", freeze_points=5)
    assert snapshot.info()["accepted"]
    with snapshot.serve():
        told = [Told(port_of(snapshot)) for _ in range(5)]
    # It has answered the requests between the freeze points, each on the connection that it was frozen with.
    assert len({each.accepted for each in told}) == 1
    assert all(2 <= each.accepted == each.counted <= 6 for each in told)


def test_the_other_listening_socket(frozen: Callable[..., Snapshot]) -> None:
    snapshot = frozen("both")
    assert snapshot.info()["accepted"]
    ports = [int(address.rsplit(":", 1)[1]) for address in snapshot.info()["listening"]]
    with snapshot.serve():
        # There it accepts a second connection, while nobody is at the other end of the first.
        assert sorted(Told(port).accepted for port in ports for _ in range(2)) == [2, 2, 3, 3]


def test_forks_that_are_not_reset_accept_by_themselves(frozen: Callable[..., Snapshot]) -> None:
    snapshot = frozen("epoll")
    with snapshot.serve(ServeOptions(ephemeral=False)):
        assert [Told(port_of(snapshot)).accepted for _ in range(3)] == [3, 4, 5]


def test_a_client_that_says_nothing(frozen: Callable[..., Snapshot], capfd: pytest.CaptureFixture[str]) -> None:
    snapshot = frozen("epoll", silent=False)
    capfd.readouterr()
    with snapshot.serve():
        with client_of(port_of(snapshot)) as client:
            client.shutdown(socket.SHUT_WR)
            assert all_of(client) == b""
        with client_of(port_of(snapshot)) as client:
            # Gone by a reset, before or after it was accepted.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert Told(port_of(snapshot)).accepted == 2
    assert capfd.readouterr().err == "nothing came\n"


def test_a_request_that_comes_late(frozen: Callable[..., Snapshot]) -> None:
    snapshot = frozen("epoll", "option")
    with snapshot.serve() as server, client_of(port_of(snapshot)) as client:
        while server.statistics()["connections"] == 0:
            pass
        client.sendall(b"G")
        assert ANSWER.fullmatch(all_of(client))


def test_a_fork_is_handed_connections(frozen: Callable[..., Snapshot], request_of: Callable) -> None:
    with frozen("epoll").fork() as fork:
        assert fork.differences() == []
        for _ in range(3):
            assert request_of(fork, "GET").answer.startswith(b"2 accepted, 2 counted")
            # Not reset, it accepts the next one itself, as it would have.
            assert request_of(fork, "GET").answer.startswith(b"3 accepted, 3 counted")
            assert fork.differences()
            fork.reset()
            assert fork.differences() == []


def test_no_freeze_point_is_looked_for_unless_asked(frozen: Callable[..., Snapshot]) -> None:
    snapshot = frozen("epoll", freeze_points=0)
    assert not snapshot.info()["accepted"]
    with snapshot.serve():
        assert Told(port_of(snapshot)).accepted == 2


def test_strangers_are_not_taken_for_the_silent_client(guest: Callable[[str], str]) -> None:
    with Machine([guest("early_accept"), "epoll"], policy=Policy(allow_net=True)) as machine:
        port = int(machine.boot(scaled(20.0))[0].rsplit(":", 1)[1])
        machine.warm_up(1)
        with client_of(port) as stranger:
            stranger.sendall(b"GET\n")
            snapshot = machine.freeze(3)
            assert snapshot.info()["accepted"]
            with snapshot.serve():
                assert ANSWER.fullmatch(all_of(stranger))
                told = Told(port)
                assert told.accepted == told.counted
