"""``Fork``: a machine made from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmfork.closing import Closing
from warmfork.outcome import Outcome
from warmfork.units import parse_size

if TYPE_CHECKING:
    from warmfork import _core
    from warmfork.types import Area, ResetKind, Thread


class Fork(Closing):
    """A machine made from a snapshot. ``reset`` takes it back there, to the last byte.

    Example:
        >>> with snapshot.fork() as fork:
        ...     fork.write_memory(address, b"changed")
        ...     fork.reset(), fork.differences()
        ('rewritten', [])
    """

    def __init__(self, native: _core.Fork) -> None:
        self._native = native

    def run(self, timeout: float | None = None) -> Outcome:
        """Runs on from where it is, to its end; see ``Machine.run``."""
        return Outcome(*self._native.run(timeout))

    def serve(self, connection: int, *, timeout: float | None = None, max_memory: int | str | None = None) -> Outcome:
        """Hands the guest one connection, as a server's worker does, and runs it until it has closed that.

        Args:
            connection: The descriptor of a connected stream socket, which stays the caller's to close. The guest
                accepts it from its first listening socket.
            timeout: Seconds; ``None`` for no limit.
            max_memory: Bytes that the guest may touch; ``None`` for no limit.

        Returns:
            ``"served"``, or why not.

        Raises:
            StateError: The snapshot does not listen; the fork has ended and was not reset.
        """
        limit = None if max_memory is None else parse_size(max_memory)
        return Outcome(*self._native.serve(connection, timeout, limit))

    def reset(self) -> ResetKind:
        """Puts the snapshot's state back.

        Returns:
            ``"rewritten"`` when touched pages were written anew, ``"dropped"`` when there were too many for that;
            ``"rebuilt"`` when a process of the snapshot had ended or executed another program, or the host refused
            something, so that the fork was made anew.

        Raises:
            PlatformError: The host lacks resources for a new fork; the fork can only be closed.
        """
        return self._native.reset()

    def read_memory(self, address: int, length: int) -> bytes:
        """Reads guest memory, regardless of its protection.

        Raises:
            WarmforkError: Some of it is not mapped.
        """
        return self._native.read_memory(address, length)

    def write_memory(self, address: int, data: bytes) -> None:
        """Writes guest memory, as the guest itself could.

        Raises:
            WarmforkError: Some of it is not mapped, or not writable.
        """
        self._native.write_memory(address, data)

    def areas(self) -> list[Area]:
        """The guest's mappings, in address order."""
        return self._native.areas()

    def threads(self) -> list[Thread]:
        """The guest's threads, with everything that is in their registers."""
        return self._native.threads()

    def describe(self) -> str:
        """All that the emulated kernel holds for the guest, in words: for looking at; the form may change."""
        return self._native.describe()

    def differences(self) -> list[str]:
        """Differences from a new fork, one line each: pages, registers, fds, timers, mappings. Empty after reset."""
        return self._native.differences()

    def statistics(self) -> dict[str, int]:
        """Counters since the fork: system calls, faults, resets, and others by name."""
        return self._native.statistics()

    def output(self) -> tuple[bytes, bytes]:
        """The output on captured standard output and error since the last call."""
        return self._native.output()

    def interrupt(self) -> None:
        """Makes a ``run`` in another thread return soon, as ``"interrupted"``."""
        self._native.interrupt()

    def close(self) -> None:
        """Ends the guest and frees its memory and descriptors. Can be called twice."""
        self._native.close()
