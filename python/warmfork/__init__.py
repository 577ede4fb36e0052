"""Boot an unmodified Linux program once, fork it per request in microseconds, forget everything after.

Example:
    >>> import warmfork
    >>> policy = warmfork.Policy(allow_read=True, allow_listen=True)
    >>> with warmfork.Machine(["python3", "app.py"], policy=policy) as machine:
    ...     machine.boot()
    ...     snapshot = machine.freeze()
    ...     with snapshot.serve() as server:
    ...         server.wait()
"""

from __future__ import annotations

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

__all__ = [
    "BootTimeout",
    "ConfigError",
    "GuestError",
    "LimitError",
    "PlatformError",
    "PolicyError",
    "ProgramError",
    "StateError",
    "WarmforkError",
]
