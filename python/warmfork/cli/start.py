"""From settings to a machine: what ``run`` and ``serve`` have in common."""

from __future__ import annotations

import os

from warmfork.config import Settings
from warmfork.machine import Machine

TERMINAL = (0, 1, 2)


def make_machine(program: list[str], settings: Settings) -> Machine:
    """A machine for ``program`` on this terminal, with the permissions and limits of ``settings``."""
    return Machine(
        program,
        policy=settings.policy(),
        env=dict(settings.environment(os.environ)),
        cwd=settings.cwd or None,
        stdio=TERMINAL,
        platform=settings.platform,
        max_memory=settings.max_memory,
        max_address_space=settings.max_address_space,
        max_files=settings.max_files,
        max_threads=settings.max_threads,
    )
