"""The commands, as typer knows them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from warmfork.cli.options import ProgramCommand, given, takes_settings
from warmfork.config import ServeSettings, Settings
from warmfork.errors import ConfigError

app = typer.Typer(
    help="Boot an unmodified Linux program once, fork it per request in microseconds, forget everything after.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Program = Annotated[
    list[str] | None,
    typer.Argument(metavar="PROGRAM", help="The program, and its arguments.", show_default=False, hidden=True),
]
ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Configuration file. Default: warmfork.toml, if it is there and gives no permissions.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Write JSON.")]


def _needed(program: list[str] | None) -> list[str]:
    """The program, which can be left out only where nothing runs."""
    if not program:
        raise ConfigError("there is no PROGRAM to run", "options come before the program; --help lists them")
    return program


def _show_version(wanted: bool) -> None:
    """Answers ``--version``."""
    if wanted:
        from warmfork import _core

        typer.echo(f"warmfork {_core.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command(cls=ProgramCommand, options_metavar="[OPTIONS] [--]")
@takes_settings(Settings)
def run(program: Program = None, *, config: ConfigFile = None, **flags: Any) -> None:
    """Run a program to its end, with this terminal; the exit code is the program's.

    The program may touch only itself and its loader's files, unless a flag allows more.
    Options come before the program; everything after it is the program's.
    """
    from warmfork.cli.run import run_program

    raise typer.Exit(run_program(_needed(program), given(flags), config))


@app.command(cls=ProgramCommand, options_metavar="[OPTIONS] [--]")
@takes_settings(ServeSettings)
def serve(
    program: Program = None,
    *,
    config: ConfigFile = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", metavar="", help="Print the settings as TOML and exit.")
    ] = False,
    **flags: Any,
) -> None:
    """Boot a server, freeze it when it is ready, and give every connection a pristine fork.

    The program may touch only itself and its loader's files, unless a flag allows more.
    Options come before the program; everything after it is the program's.
    """
    from warmfork.cli.serve import serve_program, show_config

    if print_config:
        raise typer.Exit(show_config(given(flags), config))
    raise typer.Exit(serve_program(_needed(program), given(flags), config))


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Say which platforms work on this host, and why."""
    from warmfork.cli.tables import show_doctor

    raise typer.Exit(show_doctor(as_json))


@app.command()
def syscalls(*, as_json: AsJson = False) -> None:
    """List the system calls and how far each is emulated."""
    from warmfork.cli.tables import show_syscalls

    raise typer.Exit(show_syscalls(as_json))
