"""No fork takes the names of its snapshot's sockets, by which the clients of all forks come."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import ask, port_of

from warmfork import Policy, Server, Snapshot

TAKEN = b"EADDRINUSE done\n"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the guest has its Unix sockets."""
    return tmp_path_factory.mktemp("sockets")


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot], directory: Path) -> Snapshot:
    return freeze("steal", policy=Policy(allow_all=True), env={"SOCKETS": str(directory)})


@pytest.fixture
def server(snapshot: Snapshot) -> Iterator[Server]:
    with snapshot.serve() as server:
        yield server


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "::"])
@pytest.mark.parametrize("action", ["tcp", "tcp-closed", "udp"])
def test_an_address_stays_everybodys(server: Server, snapshot: Snapshot, action: str, address: str) -> None:
    assert ask(port_of(snapshot), f"{action} {address}\n".encode()) == TAKEN


@pytest.mark.parametrize("action", ["tcp", "udp"])
def test_another_address_is_free(server: Server, snapshot: Snapshot, action: str) -> None:
    assert ask(port_of(snapshot), f"{action} 127.0.0.2\n".encode()) == b"ok done\n"


@pytest.mark.parametrize("path", ["a/link/socket", "a/real/socket", "renamed"])
def test_the_file_of_a_socket_stays(server: Server, snapshot: Snapshot, directory: Path, path: str) -> None:
    port, before = port_of(snapshot), (directory / path).stat().st_ino
    assert ask(port, f"unlink {path}\n".encode()) == b"EBUSY EADDRINUSE done\n"
    assert ask(port, f"rename {path} elsewhere\n".encode()) == b"EBUSY done\n"
    assert ask(port, b"make other\n") == b"ok done\n"
    assert ask(port, f"rename other {path}\n".encode()) == b"EBUSY done\n"
    assert ask(port, f"exchange other {path}\n".encode()) == b"EBUSY done\n"
    assert (directory / path).stat().st_ino == before
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.fspath(directory / path))


@pytest.mark.parametrize("path", ["a", "a/real", "a/link"])
def test_what_leads_to_it_stays(server: Server, snapshot: Snapshot, directory: Path, path: str) -> None:
    port, before = port_of(snapshot), (directory / "a/link/socket").stat().st_ino
    assert ask(port, f"rename {path} elsewhere\n".encode()) == b"EBUSY done\n"
    assert ask(port, b"make other\n") == b"ok done\n"
    assert ask(port, f"exchange {path} other\n".encode()) == b"EBUSY done\n"
    assert (directory / "a/link/socket").stat().st_ino == before


def test_other_names_go(server: Server, snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    assert ask(port, b"socket own\n") == b"ok done\n"
    assert ask(port, b"rename own moved\n") == b"ok done\n"
    assert ask(port, b"unlink moved\n") == b"ok ok done\n"
