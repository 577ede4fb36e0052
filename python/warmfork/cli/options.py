"""Options made from the settings model, and the one place that knows options whose value may be left out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from warmfork.config import Settings
from warmfork.policy import EVERYTHING
from warmfork.units import format_duration, format_size

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Command = TypeVar("Command", bound=Callable[..., None])

_OPTIONAL_VALUE = {"PATHS", "NAMES", "HOSTS"}
_PANELS = {
    "permission": "Permissions",
    "PATHS": "Permissions",
    "NAMES": "Permissions",
    "HOSTS": "Permissions",
    "HOST:GUEST[:rw]": "Permissions",
    "SIZE": "Limits",
    "TIME": "Limits",
}
_SHORT = {"verbose": "-v", "quiet": "-q", "threads": "-t", "warmup": "-w", "ephemeral": "-e"}


class ProgramCommand(TyperCommand):
    """A command whose options come before a program; everything from the program on is the program's.

    ``--allow-read`` may stand alone or have a value after ``=``. To the parser an option either takes a value or not,
    so one that stands alone gets the value that means everything before the parser sees it.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.context_settings["allow_interspersed_args"] = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses after giving lone permissions their value."""
        valued: dict[str, bool] = {}  # options that take a value, and whether it may be left out
        for parameter in self.params:
            if parameter.param_type_name == "option" and not getattr(parameter, "is_flag", False):
                optional = str(parameter.metavar).strip("[]=") in _OPTIONAL_VALUE
                valued |= dict.fromkeys(parameter.opts, optional)
        expanded = list(args)
        position = 0
        while position < len(args):
            argument = args[position]
            if argument == "--" or not argument.startswith("-"):
                break
            if valued.get(argument):
                expanded[position] = f"{argument}={EVERYTHING}"
            elif argument in valued:
                position += 1
            position += 1
        return super().parse_args(ctx, expanded)


def takes_settings(model: type[Settings]) -> Callable[[Command], Command]:
    """Gives a command an option for each setting; it gets those that were given, by key, as ``flags``."""

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        options = [_option(name, field) for name, field in model.model_fields.items()]
        command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        return command

    return decorate


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were on the command line, by key."""
    return {name.replace("_", "-"): value for name, value in flags.items() if value is not None and value != []}


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    """The option of a setting. Values stay text: the settings model checks them, wherever they were written."""
    key = name.replace("_", "-")
    kind = str(field.title)
    names = [f"--{key}"]
    annotation: Any = str | None
    metavar = kind
    shown = ""
    if field.annotation is bool:
        annotation, metavar = bool | None, ""
        if field.default:
            names = [f"--{key}/--no-{key}"]
    elif kind in _OPTIONAL_VALUE:
        metavar = f"[={kind}]"
    elif isinstance(field.default, tuple):
        annotation = list[str] | None
    elif field.default not in ("", False):
        formats: dict[str, Callable[[Any], str]] = {"SIZE": format_size, "TIME": format_duration}
        shown = formats.get(kind, str)(field.default)
    if name in _SHORT:
        names.append(_SHORT[name])
    option = typer.Option(
        *names,
        help=f"{field.description} Default: {shown}." if shown else field.description,
        metavar=metavar,
        show_default=False,
        rich_help_panel=_PANELS.get(kind, "Options"),
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation, option]
    )
