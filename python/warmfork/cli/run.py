"""``warmfork run``: one program to its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from warmfork.cli import output
from warmfork.cli.start import make_machine
from warmfork.config import load
from warmfork.machine import Machine
from warmfork.units import format_size

_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
"""The signals that a terminal sends to its foreground."""


@contextmanager
def _forwarding_terminal_signals_to(machine: Machine) -> Iterator[None]:
    """Forwards the signals of a terminal to the program; elsewhere signals are warmfork's own."""
    if not any(os.isatty(fd) for fd in (0, 1, 2)):
        yield
        return

    def forward(number: int, _frame: FrameType | None) -> None:
        machine.forward_signal(number)

    before = [signal.signal(number, forward) for number in _TERMINAL_SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_TERMINAL_SIGNALS, before, strict=True):
            signal.signal(number, handler)


def run_program(program: list[str], flags: dict[str, Any], config: str | None) -> int:
    """Runs ``program`` on this terminal.

    Returns:
        The exit code to end with: the program's, or 128 plus the signal that killed it.
    """
    settings = load(flags, os.environ, config, output.configured)
    output.set_up_logging(settings)
    with make_machine(program, settings) as machine, _forwarding_terminal_signals_to(machine):
        outcome = machine.run()
    if outcome.kind == "out_of_memory":
        output.say("error", f"the program wanted more memory than it may touch: {format_size(settings.max_memory)}")
        output.say("hint", "--max-memory=SIZE allows more")
    return outcome.exit_status
