"""Guests for the tests of the Python API: small static C programs, compiled once."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from compiling import compiled
from timeouts import scaled

from warmfork import Machine, Policy, Snapshot

GUESTS = Path(__file__).parent / "guests"


@pytest.fixture(scope="session")
def guest() -> Callable[[str], str]:
    """Compiles a guest; returns its path."""
    return lambda name: str(compiled(GUESTS / f"{name}.c"))


@pytest.fixture
def booted(guest: Callable[[str], str]) -> Iterator[tuple[Machine, int]]:
    """The server, ready, and its port."""
    with Machine([guest("server")], policy=Policy(allow_listen=True)) as machine:
        (address,) = machine.boot(scaled(10.0))
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
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(30))
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode().strip()
        finally:
            connection.close()

    return request
