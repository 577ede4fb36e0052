"""Guests for the tests of the Python API: small static C programs, compiled once."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from warmfork import Machine, Policy, Snapshot

GUESTS = Path(__file__).parent / "guests"


@pytest.fixture(scope="session")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Compiles a guest; returns its path."""
    directory = tmp_path_factory.mktemp("guests")

    def compile_guest(name: str) -> str:
        binary = directory / name
        if not binary.exists():
            subprocess.run(["gcc", "-O1", "-static", "-pthread", "-o", binary, GUESTS / f"{name}.c"], check=True)
        return str(binary)

    return compile_guest


@pytest.fixture
def booted(guest: Callable[[str], str]) -> Iterator[tuple[Machine, int]]:
    """The server, ready, and its port."""
    with Machine([guest("server")], policy=Policy(allow_listen=True)) as machine:
        (address,) = machine.boot(10.0)
        yield machine, int(address.rsplit(":", 1)[1])


@pytest.fixture
def frozen(booted: tuple[Machine, int]) -> tuple[Snapshot, int]:
    """The server, frozen, and its port."""
    machine, port = booted
    return machine.freeze(), port


@pytest.fixture
def ask() -> Callable[[int, str], str]:
    """Makes one request on a connection of its own; returns the body without its end."""

    def request(port: int, path: str = "/") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode().strip()
        finally:
            connection.close()

    return request
