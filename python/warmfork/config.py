"""The settings of ``warmfork run`` and ``warmfork serve``: one model, three places to write them.

A flag comes before an environment variable (``WARMFORK_MAX_REQUEST_TIME``), that before the configuration file
(``max-request-time = "8s"``). The keys are the same everywhere. An unknown key or a bad value is an error that names
the place. A file that was found, and not named, came with the directory: it may give no permissions. Plain pydantic:
pydantic-settings would double the time that the command line takes to start.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from warmfork.errors import ConfigError
from warmfork.options import BootOptions, Limits, ServeOptions, checked_options
from warmfork.policy import Policy, Volume, parse_grant
from warmfork.types import DEFAULT_PLATFORM, Platform
from warmfork.units import format_duration, format_size, parse_names

DEFAULT_FILE = "warmfork.toml"
PREFIX = "WARMFORK_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
"""Names the configuration file, as ``--config`` does."""


def _volume(text: object) -> str:
    """Checks a volume and keeps its text."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not a volume: write HOST:GUEST or HOST:GUEST:rw")
    return str(Volume.parse(text))


def _assignment(text: object) -> str:
    """Checks ``NAME=VALUE``."""
    if not isinstance(text, str) or "=" not in text or text.startswith("=") or "\0" in text:
        raise ValueError(f"{text!r} is not a variable: write NAME=VALUE")
    return text


Permission = Annotated[bool | tuple[str, ...], BeforeValidator(parse_grant)]
Volumes = Annotated[tuple[Annotated[str, BeforeValidator(_volume)], ...], BeforeValidator(parse_names)]
Assignments = Annotated[tuple[Annotated[str, BeforeValidator(_assignment)], ...], BeforeValidator(parse_names)]

_LIMIT = "max_"
"""The setting of a limit has this before the limit's name; the settings of other options have their names."""
_CHECKED = {
    **{_LIMIT + name: option for name, option in checked_options(Limits).items()},
    **checked_options(BootOptions),
    **checked_options(ServeOptions),
}
_Options = TypeVar("_Options", Limits, BootOptions, ServeOptions)


def _key(name: str) -> str:
    """The key of a field: as flags and files have it."""
    return name.replace("_", "-")


def _variable(key: str) -> str:
    """The environment variable of a key."""
    return PREFIX + key.upper().replace("-", "_")


class Settings(BaseModel):
    """The settings of both commands. Each field's title says which kind of value it is, for help and for files."""

    model_config = ConfigDict(alias_generator=_key, extra="forbid", frozen=True, validate_default=False)

    allow_all: bool = Field(False, description="Allow everything.", title="permission")
    allow_read: Permission = Field(False, description="Allow reading files: all, or these paths.", title="PATHS")
    allow_write: Permission = Field(False, description="Allow writing files: all, or these paths.", title="PATHS")
    allow_env: Permission = Field(
        False, description="Pass on environment variables: all, or these names (APP_* too).", title="NAMES"
    )
    allow_net: Permission = Field(
        False, description="Allow connecting and listening: any host, or these HOST[:PORT].", title="HOSTS"
    )
    allow_connect: Permission = Field(
        False, description="Allow connecting: to any, or these HOST[:PORT].", title="HOSTS"
    )
    allow_listen: Permission = Field(False, description="Allow listening: on any, or these HOST[:PORT].", title="HOSTS")
    volume: Volumes = Field(
        (), description="Show a host path to the guest as another one; repeatable.", title="HOST:GUEST[:rw]"
    )
    env: Assignments = Field((), description="Set a variable for the guest; repeatable.", title="NAME=VALUE")
    cwd: str = Field("", description="The guest's working directory. Default: this one.", title="PATH")
    platform: Platform = Field(
        DEFAULT_PLATFORM, description="Platform of the guest: auto, process or kvm.", title="NAME"
    )
    huge_pages: bool = Field(False, description="Let the host back a guest on kvm with huge pages.")
    max_memory: int = Field(Limits.memory, description="Memory that the program may map.", title="SIZE")
    max_address_space: int = Field(
        Limits.address_space, description="Address space that the program may reserve.", title="SIZE"
    )
    max_files: int = Field(Limits.files, description="Files that the guest may have open.", title="N")
    max_threads: int = Field(Limits.threads, description="Threads that the guest may have.", title="N")
    max_processes: int = Field(Limits.processes, description="Processes that the guest may have.", title="N")
    verbose: bool = Field(False, description="Say more.", title="output")
    quiet: bool = Field(False, description="Say nothing but errors.", title="output")
    trace: bool = Field(False, description="Show each system call of the guest, and its answer.", title="output")

    @field_validator(*_CHECKED, mode="before", check_fields=False)
    @classmethod
    def _check(cls, value: object, field: ValidationInfo) -> object:
        """Checks the values that the Python API has too, in the same way."""
        return _CHECKED[str(field.field_name)].read(value)

    def limits(self) -> Limits:
        """The limits among the settings."""
        return self._options(Limits, _LIMIT)

    def _options(self, options: type[_Options], prefix: str = "") -> _Options:
        return options(**{field.name: getattr(self, prefix + field.name) for field in fields(options)})

    def policy(self) -> Policy:
        """The permissions among the settings."""
        return Policy(
            allow_all=self.allow_all,
            allow_read=self.allow_read,
            allow_write=self.allow_write,
            allow_env=self.allow_env,
            allow_net=self.allow_net,
            allow_connect=self.allow_connect,
            allow_listen=self.allow_listen,
            volumes=self.volume,
        )

    def environment(self, variables: Mapping[str, str]) -> list[tuple[str, str]]:
        """The guest's environment: the allowed ones of ``variables``, then those that ``env`` sets."""
        passed = dict(self.policy().environment(variables))
        for assignment in self.env:
            name, value = assignment.split("=", 1)
            passed[name] = value
        return list(passed.items())


class ServeSettings(Settings):
    """The further settings of ``warmfork serve``."""

    threads: int = Field(
        ServeOptions.threads, description="Forks that serve side by side; 0 is one for each CPU.", title="N"
    )
    ephemeral: bool = Field(
        ServeOptions.ephemeral, description="Reset the fork after each connection.", title="serving"
    )
    warmup: int = Field(BootOptions.warmup, description="Requests to make before freezing.", title="N")
    warmup_path: str = Field(BootOptions.warmup_path, description="Path of the warm-up requests.", title="PATH")
    freeze_points: int = Field(
        BootOptions.freeze_points,
        description="Points to try freezing at after the warm-up; the fastest one is taken.",
        title="N",
    )
    keep_connections: tuple[str, ...] = Field(
        BootOptions.keep_connections,
        description="Let all forks share connections to HOST[:PORT] that are there at the freeze, at your risk.",
        title="HOST:PORT",
    )
    refuse_connections: bool = Field(
        BootOptions.refuse_connections,
        description="Do not freeze a program with connections to the outside.",
        title="serving",
    )
    max_boot_time: float = Field(
        BootOptions.max_boot_time, description="Time until the program must listen; 0 is no limit.", title="TIME"
    )
    max_request_time: float = Field(
        ServeOptions.max_request_time, description="Time for a connection; 0 is no limit.", title="TIME"
    )
    max_idle_time: float = Field(
        ServeOptions.max_idle_time,
        description="Time until a client must have said something, where clients speak first; 0 is no limit.",
        title="TIME",
    )
    max_request_memory: int = Field(
        ServeOptions.max_request_memory,
        description="Memory that a connection may touch; 0 is no limit.",
        title="SIZE",
    )
    limit_request_memory: int = Field(
        ServeOptions.limit_request_memory,
        description="Above this much touched memory, reset by dropping pages.",
        title="SIZE",
    )
    max_stop_time: float = Field(
        ServeOptions.max_stop_time, description="Time for open connections when stopping.", title="TIME"
    )
    metrics: str = Field("", description="Serve Prometheus metrics on HOST:PORT or unix:PATH.", title="ADDRESS")

    def boot_options(self) -> BootOptions:
        """The options of the boot and the freeze."""
        return self._options(BootOptions)

    def serve_options(self) -> ServeOptions:
        """The options of the server."""
        return self._options(ServeOptions)


def keys(model: type[Settings] = ServeSettings) -> list[str]:
    """Every key, in the order of the documentation."""
    return [_key(name) for name in model.model_fields]


_PERMISSION_KINDS = {"permission", "PATHS", "NAMES", "HOSTS", "HOST:GUEST[:rw]", "HOST:PORT"}
"""The kinds of the settings that let a program touch what is not its own, or its forks what is not theirs."""


def _no_one(_path: str, _keys: list[str]) -> None:
    """Is told and says nothing."""


def load(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    file: str | None = None,
    tell: Callable[[str, list[str]], None] = _no_one,
) -> ServeSettings:
    """Brings the three places together.

    The commands may share a file: each takes its own keys, and all of them are checked.

    Args:
        flags: The values from the command line, by key.
        environment: The variables of the process.
        file: The configuration file; without one that of ``WARMFORK_CONFIG``, else ``warmfork.toml`` if it is there.
        tell: Is told the path and the keys of a file that nobody named, unless flags or variables say ``quiet``.

    Returns:
        The settings, all checked.

    Raises:
        ConfigError: Something is unknown or has a bad value, others may write the file, or it gives permissions though
            nobody named it; the message begins with the place and the key.
    """
    places: dict[str, str] = {}
    values: dict[str, Any] = {}
    named = file or environment.get(CONFIG_VARIABLE) or None
    path, table = _read_file(named)
    variables = _read_environment(environment)
    for source, place in (
        (table, lambda key: f"{path}: {key}"),
        (variables, _variable),
        (flags, lambda key: f"--{key}"),
    ):
        for key, value in source.items():
            values[key] = value
            places[key] = place(key)
    try:
        settings = ServeSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] != "value_error":
            reason = f"{first['input']!r}: {reason[:1].lower()}{reason[1:]}"
        raise ConfigError(f"{places[str(first['loc'][0])]}: {reason}") from None
    if named is None and table:
        _refuse_permissions(path, settings, table.keys() - flags.keys() - variables.keys())
        if not (settings.quiet and "quiet" in {*flags, *variables}):
            tell(path, list(table))
    return settings


def _refuse_permissions(path: str, settings: ServeSettings, of_file: set[str]) -> None:
    """Refuses what a file that nobody named gives."""
    for name, field in type(settings).model_fields.items():
        if _key(name) in of_file and field.title in _PERMISSION_KINDS and getattr(settings, name):
            raise ConfigError(
                f"{path}: {_key(name)}: a file gives permissions only if it is named",
                f"--config={path} names it, if you trust it",
            )


def _read_file(file: str | None) -> tuple[str, dict[str, Any]]:
    """The path and the table of the configuration file; an empty table when there is none."""
    path = Path(file or DEFAULT_FILE)
    try:
        with path.open(encoding="utf-8") as opened:
            _refuse_others(path, os.fstat(opened.fileno()), file is not None)
            table = tomllib.loads(opened.read())
    except FileNotFoundError:
        if file is None:
            return str(path), {}
        raise ConfigError(f"{path}: there is no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot read the configuration file: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: this is not TOML: {error}") from None
    for key in table:
        if key not in keys():
            raise ConfigError(f"{path}: {key}: unknown key", _did_you_mean(key, keys()))
    return str(path), table


def _refuse_others(path: Path, status: os.stat_result, named: bool) -> None:
    """Refuses a file that other users may write, or that one of them has put there."""
    shared = status.st_mode & stat.S_IWGRP and not _is_own_group(status.st_gid)
    if status.st_mode & stat.S_IWOTH or shared:
        raise ConfigError(
            f"{path}: others may write the configuration file", f"chmod {'o' if not shared else 'go'}-w {path}"
        )
    if not named and status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"{path}: the configuration file belongs to another user", f"--config={path} names it, if you trust it"
        )


def _is_own_group(group: int) -> bool:
    """Whether a group is the user's private one, as many systems make: named as the user, without other members."""
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return entry.gr_name == user and set(entry.gr_mem) <= {user}


def _read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings among the variables."""
    known = {_variable(key): key for key in keys()}
    found = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        if name not in known:
            raise ConfigError(f"{name}: unknown environment variable", _did_you_mean(name, list(known)))
        found[known[name]] = value
    return found


def _did_you_mean(name: str, known: list[str]) -> str:
    """A hint for a mistyped name."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "warmfork serve --help lists the keys: a flag without its dashes"


def to_toml(settings: Settings) -> str:
    """Writes settings as a configuration file that means the same."""
    import tomli_w

    table: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if field.title == "SIZE":
            value = format_size(value)
        elif field.title == "TIME":
            value = format_duration(value)
        elif isinstance(value, tuple):
            value = list(value)
        table[_key(name)] = value
    return tomli_w.dumps(table)
