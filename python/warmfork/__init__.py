"""Boot an unmodified Linux program once, fork it per request in microseconds, forget everything after.

Example:
    >>> import warmfork
    >>> policy = warmfork.Policy(allow_read=True, allow_listen=True)
    >>> with warmfork.Machine(["python3", "app.py"], policy=policy) as machine:
    ...     machine.boot()
    ...     snapshot = machine.freeze()
    >>> with snapshot.serve() as server:
    ...     server.wait()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmfork.errors import (
        BootTimeout,
        ConfigError,
        GuestError,
        LimitError,
        PlatformError,
        PolicyError,
        ProgramError,
        StateError,
        WarmforkError,
    )
    from warmfork.fork import Fork
    from warmfork.machine import Machine, serve
    from warmfork.options import BootOptions, Limits, ServeOptions
    from warmfork.outcome import Outcome
    from warmfork.policy import Policy, Volume
    from warmfork.server import Server
    from warmfork.snapshot import Snapshot

_HOMES = {
    "errors": (
        "BootTimeout",
        "ConfigError",
        "GuestError",
        "LimitError",
        "PlatformError",
        "PolicyError",
        "ProgramError",
        "StateError",
        "WarmforkError",
    ),
    "fork": ("Fork",),
    "machine": ("Machine", "serve"),
    "options": ("BootOptions", "Limits", "ServeOptions"),
    "outcome": ("Outcome",),
    "policy": ("Policy", "Volume"),
    "server": ("Server",),
    "snapshot": ("Snapshot",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BootOptions",
    "BootTimeout",
    "ConfigError",
    "Fork",
    "GuestError",
    "LimitError",
    "Limits",
    "Machine",
    "Outcome",
    "PlatformError",
    "Policy",
    "PolicyError",
    "ProgramError",
    "ServeOptions",
    "Server",
    "Snapshot",
    "StateError",
    "Volume",
    "WarmforkError",
    "serve",
]


def __getattr__(name: str) -> object:
    """Imports a name when it is first asked for, so that the command line starts quickly."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
