"""The exceptions of warmfork: a short tree, each with a hint for the next step.

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

_SHOWN_BYTES = 1000
_SHOWN_LINES = 10


class WarmforkError(Exception):
    """Anything that went wrong in warmfork.

    Attributes:
        hint: The next step, in one line; empty when there is nothing useful to say.
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
    """The guest failed: it exited or crashed before it was ready, or does not answer.

    The text of the error ends in the last lines that the guest wrote.

    Attributes:
        stdout: The last bytes that the guest wrote to standard output, up to 4096; empty where it is not captured.
        stderr: The last bytes that it wrote to standard error, up to 4096.
    """

    stdout: bytes = b""
    stderr: bytes = b""

    def __str__(self) -> str:
        parts = [super().__str__()]
        for stream, written in (("output", self.stdout), ("error", self.stderr)):
            if lines := _last_lines(written):
                parts += [f"standard {stream} ends in:", *(f"  {line}" for line in lines)]
        return "\n".join(parts)


class BootTimeout(GuestError):
    """The guest was not ready within its boot time."""


class LimitError(WarmforkError):
    """A limit was reached: memory, descriptors, threads."""


class StateError(WarmforkError):
    """A call came in the wrong order, such as a fork of a machine that is not frozen, or use after close."""


def _last_lines(written: bytes) -> list[str]:
    """The last lines of a guest's output, without characters that a terminal would act upon."""
    text = written[-_SHOWN_BYTES:].decode(errors="backslashreplace").expandtabs()
    lines = text.rstrip().splitlines()[-_SHOWN_LINES:]
    return ["".join(char if char.isprintable() else ascii(char)[1:-1] for char in line) for line in lines]
