"""The output of the command line: to standard error, readable without colour, with colour on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from warmfork.errors import WarmforkError

if TYPE_CHECKING:
    from rich.console import Console

    from warmfork.config import Settings

_COLOURS = {"error": "31", "warning": "33", "hint": "36", "ok": "32"}


def label(word: str) -> str:
    """The word that begins a line, coloured where standard error is a terminal and ``NO_COLOR`` is not set."""
    colour = _COLOURS.get(word)
    if colour is None or os.environ.get("NO_COLOR") or not sys.stderr.isatty():
        return f"{word}:"
    return f"\033[{colour}m{word}:\033[0m"


def say(word: str, text: str) -> None:
    """Writes one line that begins with ``word``."""
    print(label(word), text, file=sys.stderr, flush=True)


def configured(path: str, keys: list[str]) -> None:
    """Says which settings come from a file that nobody named."""
    say("config", f"{path} of this directory sets {', '.join(keys)}")


def error(problem: WarmforkError) -> None:
    """Writes an error, and its hint on a line of its own."""
    say("error", str(problem))
    if problem.hint:
        say("hint", problem.hint)


_DENIED = "warmfork.denied"
_TRACE = "warmfork.syscalls"
_DENIALS_SHOWN = 10


class _Handler(logging.Handler):
    """Writes log records of the engine as lines; of many denials the first ones."""

    def __init__(self, verbose: bool) -> None:
        super().__init__()
        self._denials_left = None if verbose else _DENIALS_SHOWN

    def emit(self, record: logging.LogRecord) -> None:
        word = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        if record.name == _TRACE:
            word = "trace"
        if record.name == _DENIED and self._denials_left is not None:
            self._denials_left -= 1
            if self._denials_left == -1:
                say(word, "more is denied; --verbose names all of it")
            if self._denials_left < 0:
                return
        try:
            say(word, record.getMessage())
        except OSError:
            self.handleError(record)


def set_up_logging(settings: Settings) -> None:
    """Shows the engine's warnings; with ``verbose`` also its other messages, with ``quiet`` only errors."""
    logger = logging.getLogger()
    logger.addHandler(_Handler(settings.verbose))
    logger.setLevel(logging.ERROR if settings.quiet else logging.INFO if settings.verbose else logging.WARNING)
    if settings.trace:
        from warmfork import _core

        _core.trace_system_calls(True)
        logging.getLogger(_TRACE).setLevel(logging.DEBUG)


def console(stderr: bool = False) -> Console:
    """A rich console for tables; it knows terminals and ``NO_COLOR``."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)
