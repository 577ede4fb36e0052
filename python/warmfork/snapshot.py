"""``Snapshot``: a frozen machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmfork.fork import Fork
from warmfork.options import ServeOptions
from warmfork.server import Server

if TYPE_CHECKING:
    from warmfork import _core
    from warmfork.types import SnapshotInfo


class Snapshot:
    """A frozen machine: a memory image that forks share, and the state of everything else. Made by ``freeze``."""

    def __init__(self, native: _core.Snapshot) -> None:
        self._native = native

    def fork(self) -> Fork:
        """Makes a machine that goes on from the snapshot, with memory of its own.

        Raises:
            PlatformError: The host lacks resources for it.
        """
        return Fork(self._native.fork())

    def info(self) -> SnapshotInfo:
        """Its contents: pages and bytes of its image, bytes mapped, areas, threads, fds, listening addresses."""
        return self._native.info()

    def serve(self, options: ServeOptions | None = None) -> Server:
        """Serves the snapshot's listening sockets; returns at once.

        Args:
            options: How many forks serve, and within which limits.

        Raises:
            StateError: The snapshot does not listen.
            PlatformError: The host lacks resources for the forks.
        """
        options = options or ServeOptions()
        return Server(self._native.serve(options), options)
