"""The options of machines and servers, for the Python API, the configuration and the command line.

Each default and each range is here and nowhere else. ``config`` names the same options as flags and keys of a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Generic, TypeVar

from warmfork import _core
from warmfork.errors import ConfigError
from warmfork.units import parse_count, parse_duration, parse_names, parse_size

_Given = TypeVar("_Given")
_Kept = TypeVar("_Kept")


class Option(Generic[_Given, _Kept]):
    """A field of a dataclass of options, which checks each value and keeps it in one form.

    Read from the class, it is the default.

    Args:
        default: The value of an option that is not given.
        read: Returns the form that is kept, or raises ``ValueError`` for a value that is malformed or out of range.
    """

    def __init__(self, default: _Given, read: Callable[[Any], _Kept]) -> None:
        self.default = read(default)
        self.read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, options: object, owner: type | None = None) -> _Kept:
        kept: _Kept = self.default if options is None else options.__dict__[self._name]
        return kept

    def __set__(self, options: object, value: _Given) -> None:
        try:
            options.__dict__[self._name] = self.read(value)
        except ValueError as error:
            raise ConfigError(f"{self._name}: {error}") from None


Size = Option[int | str, int]
Duration = Option[float | str, float]
Count = Option[int | str, int]
Names = Option[Sequence[str] | str, tuple[str, ...]]


def _request_path(value: object) -> str:
    """Checks the path of an HTTP request."""
    if not isinstance(value, str) or not re.fullmatch(r"/[!-~]*", value):
        raise ValueError(f"{value!r} is not the path of a request: it begins with / and has no spaces")
    return value


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a machine may use, and each of its forks.

    Attributes:
        memory: Memory that the program may map, in bytes or as text such as ``"512M"``. Reservations without access
            do not count.
        address_space: Memory that it may map, reservations included; at most 128T.
        files: File descriptors that a process may have open, from 4 to 1,048,576.
        threads: Threads of all processes together, from 1 to 65,536.
        processes: Processes, from 1 to 4,096.

    Raises:
        ConfigError: A value is malformed or out of range.
    """

    memory: Size = Option("8G", parse_size)
    address_space: Size = Option("128T", parse_size)
    files: Count = Option(1024, partial(parse_count, least=4, most=1 << 20))
    threads: Count = Option(1024, partial(parse_count, least=1, most=1 << 16))
    processes: Count = Option(64, partial(parse_count, least=1, most=4096))


@dataclass(frozen=True, kw_only=True)
class BootOptions:
    """How ``serve`` makes a snapshot of a program: its boot, its warm-up, its freeze.

    Attributes:
        max_boot_time: Time until the program must listen, in seconds or as text such as ``"20s"``; 0 is no limit.
        warmup: Requests to make before freezing, up to 1,000,000.
        warmup_path: The path of the warm-up requests.
        freeze_points: Points to try freezing at after a warm-up, from 1 to 1,000; see ``Machine.freeze``.
        keep_connections: ``HOST[:PORT]`` of peers whose connections all forks share.
        refuse_connections: Do not freeze a program that has other connections to the outside.

    Raises:
        ConfigError: A value is malformed or out of range.
    """

    max_boot_time: Duration = Option(20.0, parse_duration)
    warmup: Count = Option(0, partial(parse_count, least=0, most=1_000_000))
    warmup_path: Option[str, str] = Option("/", _request_path)
    freeze_points: Count = Option(1, partial(parse_count, least=1, most=1000))
    keep_connections: Names = Option((), parse_names)
    refuse_connections: bool = False

    @property
    def tried_freeze_points(self) -> int:
        """Points to try freezing at: none without a warm-up."""
        return self.freeze_points if self.warmup else 0


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a server serves a snapshot.

    Attributes:
        threads: Forks that serve side by side, up to 1,024; 0 is one for each CPU.
        ephemeral: Whether each connection gets a pristine fork. Otherwise forks keep their state.
        max_request_time: Time for a connection, in seconds or as text such as ``"8s"``; 0 is no limit.
        max_idle_time: Time until a client must have said something, where clients speak first (the warm-up shows that);
            0 is no limit. Until then it takes no fork.
        max_request_memory: Memory that a connection may touch, in bytes or as text such as ``"128M"``; 0 is no limit.
            A fork that wants more is thrown away.
        limit_request_memory: Above this much touched memory, a reset drops pages and does not rewrite them.
        max_stop_time: Time for open connections when the server stops.

    Raises:
        ConfigError: A value is malformed or out of range.
    """

    threads: Count = Option(1, partial(parse_count, least=0, most=1024))
    ephemeral: bool = True
    max_request_time: Duration = Option(8.0, parse_duration)
    max_idle_time: Duration = Option(60.0, parse_duration)
    max_request_memory: Size = Option("128M", parse_size)
    limit_request_memory: Size = Option(_core.DEFAULT_REWRITE_LIMIT, parse_size)
    max_stop_time: Duration = Option(10.0, parse_duration)


def checked_options(options: type[Limits | BootOptions | ServeOptions]) -> dict[str, Option[Any, Any]]:
    """The options of a dataclass that check their values, by name."""
    found = {field.name: vars(options)[field.name] for field in fields(options)}
    return {name: option for name, option in found.items() if isinstance(option, Option)}
