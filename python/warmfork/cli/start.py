"""From settings to a machine, for ``run`` and ``serve``."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from warmfork.config import Settings
from warmfork.machine import Machine

TERMINAL = (0, 1, 2)


def make_machine(program: list[str], settings: Settings) -> Machine:
    """A machine for ``program`` on this terminal, with the permissions and limits of ``settings``."""
    _allow_descriptors()
    return Machine(
        program,
        policy=settings.policy(),
        env=dict(settings.environment(os.environ)),
        cwd=settings.cwd or None,
        stdio=TERMINAL,
        platform=settings.platform,
        huge_pages=settings.huge_pages,
        limits=settings.limits(),
    )


def _allow_descriptors() -> None:
    """Lets this process open as many files as it may: each guest's own are among them, and no guest may take all."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The host may refuse an operator's own choice; then the old value stays.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
