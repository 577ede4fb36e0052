"""``Server``: workers that serve the connections of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmfork.closing import Closing

if TYPE_CHECKING:
    from warmfork import _core
    from warmfork.options import ServeOptions
    from warmfork.types import ServerStatistics


class Server(Closing):
    """Workers that serve connections, each with a fork. Made by ``Snapshot.serve``; works in the background.

    Attributes:
        options: How it serves.
    """

    def __init__(self, native: _core.Server, options: ServeOptions) -> None:
        self._native = native
        self.options = options

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped.

        Args:
            timeout: Seconds; ``None`` for no limit.

        Returns:
            Whether it has stopped.
        """
        return self._native.wait(timeout)

    def statistics(self) -> ServerStatistics:
        """Counters since the start, and the latency histogram."""
        return self._native.statistics()

    def stop(self, grace: float | None = None) -> None:
        """Stops: accepts nothing more, lets open connections finish, then ends the forks.

        Args:
            grace: Seconds that open connections get; ``None`` for the ``max_stop_time`` of the options.
        """
        self._native.stop(self.options.max_stop_time if grace is None else grace)

    def close(self) -> None:
        """Stops at once."""
        self.stop(0.0)
