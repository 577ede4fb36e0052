"""The policy of a guest, in the manner of Deno: it may touch nothing, unless it is allowed.

The kernel enforces paths and the native module hosts; here a policy is written down, checked and made ready for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from warmfork.errors import PolicyError

if TYPE_CHECKING:
    from warmfork.types import PolicySpec

Grant = bool | tuple[str, ...]
"""A permission: ``True`` for everything, ``False`` for nothing, or the names that are allowed."""

EVERYTHING = "*"
"""The word for everything where a permission is written as text."""

_ENVIRONMENT_NAME = re.compile(r"[^=*\0]*\*?")


def parse_grant(value: object) -> Grant:
    """Reads a permission: a boolean, names, or text with names between commas.

    Args:
        value: ``True`` or ``"*"`` for everything, ``False`` or ``""`` for nothing, a sequence of names, or ``"a,b"``.

    Returns:
        The permission in its one form.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        words = {"true": True, EVERYTHING: True, "false": False, "": False}
        if value.strip().lower() in words:
            return words[value.strip().lower()]
        value = value.split(",")
    if isinstance(value, Iterable):
        names = tuple(os.fspath(name) for name in value)
        if EVERYTHING in names:
            return True
        for name in names:
            if not isinstance(name, str) or not name or "\0" in name:
                raise ValueError(f"{name!r} cannot be allowed: write names between commas, without empty ones")
        return names if names else False
    raise ValueError(f"{value!r} is not a permission: write true, false or a list of names")


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory or file of the host that the guest sees at another place.

    Attributes:
        host: The path on the host.
        guest: The absolute path where the guest sees it.
        writable: Whether the guest may write there.
    """

    host: str
    guest: str
    writable: bool = False

    @classmethod
    def parse(cls, text: str) -> Volume:
        """Reads ``HOST:GUEST`` or ``HOST:GUEST:rw`` (or ``:ro``).

        Raises:
            ValueError: It is not of that form, or GUEST is not absolute.
        """
        parts = text.split(":")
        mode = parts.pop() if len(parts) == 3 and parts[2] in ("ro", "rw") else "ro"
        if len(parts) != 2 or not all(parts) or "\0" in text:
            raise ValueError(f"{text!r} is not a volume: write HOST:GUEST or HOST:GUEST:rw")
        if not parts[1].startswith("/"):
            raise ValueError(f"{text!r} is not a volume: the guest's path {parts[1]!r} must be absolute")
        return cls(parts[0], os.path.normpath(parts[1]), mode == "rw")

    def __str__(self) -> str:
        """Writes it as ``parse`` reads it."""
        return f"{self.host}:{self.guest}:rw" if self.writable else f"{self.host}:{self.guest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The files, variables and addresses that a guest may touch. The default: the program and its loader's files.

    Each permission takes ``True`` (everything), ``False`` (nothing), a sequence of names, or text with names between
    commas.

    Attributes:
        allow_read: Files and directories that may be read, with all beneath them.
        allow_write: Files and directories that may be written, with all beneath them.
        allow_env: Environment variables that are passed on; a trailing ``*`` matches any end.
        allow_net: Hosts for both connecting and listening: ``HOST``, ``HOST:PORT``, ``:PORT``, ``[IPv6]:PORT``.
        allow_connect: Hosts that may be connected to.
        allow_listen: Addresses that may be listened on.
        allow_all: All of the above, without limits.
        volumes: Host paths that the guest sees elsewhere: ``Volume`` or ``"HOST:GUEST[:rw]"``.

    Raises:
        PolicyError: A name or volume is malformed.

    Example:
        >>> Policy(allow_read=["/srv/app"], allow_env="LANG,APP_*", allow_listen=[":8000"]).environment({"APP_A": "1"})
        [('APP_A', '1')]
    """

    allow_read: Grant | Sequence[str] | str = False
    allow_write: Grant | Sequence[str] | str = False
    allow_env: Grant | Sequence[str] | str = False
    allow_net: Grant | Sequence[str] | str = False
    allow_connect: Grant | Sequence[str] | str = False
    allow_listen: Grant | Sequence[str] | str = False
    allow_all: bool = False
    volumes: Sequence[Volume | str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Brings every field to its one form."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            try:
                if entry.name == "volumes":
                    value = tuple(Volume.parse(item) if isinstance(item, str) else item for item in value)
                elif entry.name != "allow_all":
                    value = parse_grant(value)
            except (ValueError, TypeError) as error:
                raise PolicyError(f"{entry.name}: {error}") from None
            object.__setattr__(self, entry.name, value)
        names = self._grant("allow_env")
        for name in names if isinstance(names, tuple) else ():
            if not _ENVIRONMENT_NAME.fullmatch(name):
                raise PolicyError(
                    f"allow_env: {name!r} is not the name of an environment variable",
                    "only a trailing * is a wildcard, as in APP_*",
                )

    def _grant(self, *names: str) -> Grant:
        """The union of permissions."""
        if self.allow_all:
            return True
        allowed: list[str] = []
        for name in names:
            grant = getattr(self, name)
            if grant is True:
                return True
            allowed += grant or ()
        return tuple(dict.fromkeys(allowed))

    def environment(self, variables: Mapping[str, str]) -> list[tuple[str, str]]:
        """Picks the variables that the guest may see, in their order."""
        grant = self._grant("allow_env")
        if isinstance(grant, bool):
            return list(variables.items()) if grant else []
        exact = {name for name in grant if not name.endswith(EVERYTHING)}
        prefixes = tuple(name[:-1] for name in grant if name.endswith(EVERYTHING))
        return [item for item in variables.items() if item[0] in exact or item[0].startswith(prefixes)]

    def native(self) -> PolicySpec:
        """The form of the native module: absolute paths, and ``None`` where everything is allowed."""

        def names(*permissions: str) -> list[str] | None:
            grant = self._grant(*permissions)
            return None if grant is True else list(grant or ())

        def paths(permission: str) -> list[str] | None:
            found = names(permission)
            return None if found is None else [_absolute(path) for path in found]

        volumes = [Volume.parse(item) if isinstance(item, str) else item for item in self.volumes]
        return {
            "read": paths("allow_read"),
            "write": paths("allow_write"),
            "connect": names("allow_net", "allow_connect"),
            "listen": names("allow_net", "allow_listen"),
            "volumes": [(_absolute(volume.host), volume.guest, volume.writable) for volume in volumes],
        }


def _absolute(path: str) -> str:
    """The absolute path, without ``.`` and ``..`` as they are written; symbolic links stay."""
    return os.path.normpath(Path(path).absolute())
