"""The exceptions of warmfork: a short tree, each with a hint of what to do next.

The native module raises these too; they live here, without imports, so that the command line starts quickly.
"""

from __future__ import annotations

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


class WarmforkError(Exception):
    """Anything that went wrong in warmfork.

    Attributes:
        hint: What to do next, in one line; empty when there is nothing useful to say.
    """

    hint: str

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(WarmforkError):
    """A flag, an environment variable, a key of the configuration file or an option is unknown or has a bad value."""


class PolicyError(WarmforkError):
    """A policy cannot be set up as it says: an allowed path that is not there, a host name that does not resolve."""


class ProgramError(WarmforkError):
    """The program cannot be loaded: not there, not an x86-64 ELF file or script, damaged, without its interpreter."""


class PlatformError(WarmforkError):
    """This host cannot run guests on the chosen platform, or a host call failed."""


class GuestError(WarmforkError):
    """The guest did not do what was needed of it: it exited or crashed before it was ready."""


class BootTimeout(GuestError):
    """The guest was not ready within its boot time."""


class LimitError(WarmforkError):
    """A limit was reached: memory, descriptors, threads."""


class StateError(WarmforkError):
    """A call came in the wrong order, such as a fork of a machine that is not frozen, or use after close."""
