"""``warmfork serve``: boot, freeze, serve, stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from warmfork.cli import output
from warmfork.cli.start import make_machine
from warmfork.config import ServeSettings, load, to_toml
from warmfork.units import format_duration

if TYPE_CHECKING:
    from warmfork.server import Server
    from warmfork.snapshot import Snapshot
    from warmfork.types import Connection

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_POLL_SECONDS = 0.2
"""Seconds between looks for a signal; the server works in threads of its own meanwhile."""


class _StopSignals:
    """Notes SIGTERM and SIGINT; from the second on they raise ``KeyboardInterrupt``.

    Attributes:
        came: Whether one came.
    """

    def __init__(self) -> None:
        self.came = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._note) for number in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)


def show_config(flags: dict[str, Any], config: str | None) -> int:
    """Prints the settings, from wherever they come, as a configuration file."""
    sys.stdout.write(to_toml(load(flags, os.environ, config, output.configured)))
    return 0


def serve_program(program: list[str], flags: dict[str, Any], config: str | None) -> int:
    """Serves ``program`` until SIGTERM or SIGINT.

    Returns:
        The exit code to end with: 0 after a stop by signal, 1 when the server ended by itself.
    """
    settings = load(flags, os.environ, config, output.configured)
    output.set_up_logging(settings)
    snapshot, described = _boot(program, settings)
    with _StopSignals() as stop:
        server = snapshot.serve(settings.serve_options())
        with server, _metrics(server, settings):
            forks = server.statistics()["workers"]
            output.say("ready", f"{described}, {forks} fork{'s' if forks > 1 else ''}")
            while not stop.came and not server.wait(_POLL_SECONDS):
                pass
            if stop.came:
                _stop(server)
            else:
                output.say("error", "the server ended by itself")
            if settings.verbose:
                from warmfork.cli.tables import show_statistics

                show_statistics(server.statistics())
    return 0 if stop.came else 1


def _boot(program: list[str], settings: ServeSettings) -> tuple[Snapshot, str]:
    """Boots, warms up and freezes the program; also returns a line about that."""
    options = settings.boot_options()
    start = time.perf_counter()
    with make_machine(program, settings) as machine:
        listening = machine.boot(options.max_boot_time or None)
        booted = time.perf_counter()
        parts = [f"{Path(program[0]).name} on {', '.join(listening)}", f"booted in {booted - start:.2f} s"]
        if options.warmup:
            machine.warm_up(options.warmup, options.warmup_path)
            parts.append(f"{options.warmup} warm-up requests in {time.perf_counter() - booted:.2f} s")
        snapshot = machine.freeze(
            options.tried_freeze_points,
            options.warmup_path,
            keep_connections=options.keep_connections,
            refuse_connections=options.refuse_connections,
        )
    info = snapshot.info()
    parts.append(f"{info['bytes'] / (1 << 20):.1f} MB frozen")
    parts += _connections(info["connections"])
    return snapshot, ", ".join(parts)


def _connections(connections: list[Connection]) -> list[str]:
    """The fate of the program's connections to the outside, those of one peer together."""
    counts = Counter((connection["peer"], connection["kept"]) for connection in connections)
    told = []
    for (peer, kept), count in counts.items():
        become = ("is shared by all forks" if kept else "ends in each fork") if count == 1 else ""
        become = become or ("are shared by all forks" if kept else "end in each fork")
        told.append(f"{count} connection{'s' if count > 1 else ''} {peer} {become}")
    return told


def _stop(server: Server) -> None:
    """Lets open connections finish; another signal ends the wait."""
    output.say("stopping", f"open connections have {format_duration(server.options.max_stop_time)}")
    try:
        server.stop()
    except KeyboardInterrupt:
        server.stop(0.0)


def _metrics(server: Server, settings: ServeSettings) -> AbstractContextManager[object]:
    """The metrics endpoint, if there is to be one."""
    if not settings.metrics:
        return nullcontext()
    from warmfork.telemetry import MetricsServer

    metrics = MetricsServer(settings.metrics, server.statistics)
    output.say("metrics", f"on {metrics.address}")
    return metrics
