"""``warmfork run``: one program to its end."""

from __future__ import annotations

import os
from typing import Any

from warmfork.cli import output
from warmfork.cli.start import make_machine
from warmfork.config import load
from warmfork.units import format_size


def run_program(program: list[str], flags: dict[str, Any], config: str | None) -> int:
    """Runs ``program`` on this terminal.

    Returns:
        The exit code to end with: the program's, or 128 plus the signal that killed it.
    """
    settings = load(flags, os.environ, config)
    output.set_up_logging(settings)
    with make_machine(program, settings) as machine:
        outcome = machine.run()
    if outcome.kind == "out_of_memory":
        output.say("error", f"the program wanted more memory than it may touch: {format_size(settings.max_memory)}")
        output.say("hint", "--max-memory=SIZE allows more")
    return outcome.exit_status
