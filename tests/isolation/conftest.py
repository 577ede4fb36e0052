"""Guests that do everything that a request can do, and connections to hand to their forks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import pair
from compiling import compiled
from timeouts import scaled

from warmfork import Fork, Machine, Outcome, Policy, Snapshot

GUESTS = Path(__file__).parent / "guests"


@pytest.fixture(scope="session")
def guest() -> Callable[[str], str]:
    """Compiles a guest; returns its path."""
    return lambda name: str(compiled(GUESTS / f"{name}.c"))


@pytest.fixture
def needs_host_processes(platform: str) -> None:
    """For tests that look at a guest's host process from outside; a virtual machine has none."""
    if platform != "process":
        pytest.skip(f"guests of the {platform} platform have no host process of their own")


@pytest.fixture(scope="session")
def freeze(guest: Callable[[str], str]) -> Callable[..., Snapshot]:
    """Boots a guest and freezes it when it is ready."""

    def frozen(name: str, *arguments: str, warm_up: int = 0, **options: object) -> Snapshot:
        options = {"policy": Policy(allow_net=True)} | options
        with Machine([guest(name), *arguments], **options) as machine:
            machine.boot(scaled(20.0))
            machine.warm_up(warm_up)
            return machine.freeze()

    return frozen


class Served:
    """How one request went."""

    def __init__(self, outcome: Outcome, answer: bytes) -> None:
        self.outcome = outcome
        self.answer = answer

    def __repr__(self) -> str:
        return f"{self.outcome} {self.answer!r}"


@pytest.fixture
def request_of() -> Iterator[Callable[..., Served]]:
    """Has a fork serve one request, in this very thread; returns how that went."""

    def ask(fork: Fork, text: str | bytes, timeout: float = scaled(20.0)) -> Served:
        client, connection = pair()
        with client, connection:
            client.sendall((text.encode() if isinstance(text, str) else text) + b"\n")
            outcome = fork.serve(connection.fileno(), timeout=timeout)
            connection.close()
            client.setblocking(False)
            try:
                answer = client.recv(1 << 20)
            except OSError:
                answer = b""
        return Served(outcome, answer)

    yield ask
