"""``make demo``: tries to leak state from one request to the next, and measures what keeping them apart costs."""

from __future__ import annotations

import http.client
import json
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benches.compare.load import Load, generate, generator
from benches.compare.servers import PYTHON, ServerError, free_port, in_warmfork, running
from examples.demo.app import SECRET_FILE

HERE = Path(__file__).parent
SECRET = "correct horse battery staple"
SEEDED = list(random.Random(SECRET).getstate()[1][:4])
RANDOM = "the random state"
LOAD_SECONDS = 4
COUNTED = 200

Command = Callable[[int], list[str]]
CONTESTANTS: dict[str, Command] = {
    "native": lambda port: [PYTHON, str(HERE / "app.py"), str(port)],
    "fork per connection": lambda port: [PYTHON, str(HERE / "forking.py"), str(port)],
    "warmfork": lambda port: in_warmfork([PYTHON, str(HERE / "app.py"), str(port)]),
}

console = Console(highlight=False)


def ask(port: int, path: str, body: str | None = None) -> str:
    """Makes one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST" if body else "GET", path, body, {"Connection": "close"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def try_to_leak(port: int) -> dict[str, str]:
    """Sends a secret in one request and looks for its traces in the next."""
    before: dict[str, Any] = json.loads(ask(port, "/state"))
    ask(port, "/remember", SECRET)
    after: dict[str, Any] = json.loads(ask(port, "/state"))
    found = {}
    for what, value in after.items():
        if SECRET in json.dumps(value) or value == SEEDED:
            found[what] = "the secret"
        elif what != RANDOM:  # Python itself seeds it anew in every process that it forks
            found[what] = "changed" if value != before[what] else ""
        else:
            found[what] = ""
    first = json.loads(ask(port, "/state"))["a counter"]
    for _ in range(COUNTED):
        ask(port, "/")
    last = json.loads(ask(port, "/state"))["a counter"]
    found["a counter"] = "" if first == last else f"counts on to {last}"
    with suppress(OSError, http.client.HTTPException):  # its own connection may be lost
        ask(port, "/crash")
    try:
        ask(port, "/")
        found["a crash"] = ""
    except (OSError, http.client.HTTPException):
        found["a crash"] = "the server is gone"
    return found


def show_leaks(leaks: dict[str, dict[str, str]]) -> None:
    """A table of what the next request sees."""
    table = Table(title="What a request sees of those before it", title_justify="left")
    table.add_column("left behind in")
    for name in leaks:
        table.add_column(name)
    for what in leaks["warmfork"]:
        cells = [f"[red]{leaks[name][what]}[/]" if leaks[name][what] else "[green]nothing[/]" for name in leaks]
        table.add_row(what, *cells)
    console.print(table)


def show_speed(loads: dict[str, Load]) -> None:
    """A table of latency and throughput."""
    table = Table(title=f"One connection at a time, by {generator()}", title_justify="left")
    table.add_column("")
    for column in ("p50", "p99", "requests/s", "of native", "errors"):
        table.add_column(column, justify="right")
    native = loads["native"].per_second
    for name, load in loads.items():
        table.add_row(
            name,
            f"{load.p50 * 1e3:.2f} ms",
            f"{load.p99 * 1e3:.2f} ms",
            f"{load.per_second:,.0f}",
            f"{load.per_second / native:.2f}",
            str(load.errors),
        )
    console.print(table)


def main() -> int:
    """Runs the demo.

    Returns:
        The exit code: 1 when something leaked in warmfork, or a server did not start.
    """
    console.print(f"serving {HERE / 'app.py'} in three ways\n")
    leaks, loads = {}, {}
    try:
        for name, command in CONTESTANTS.items():
            Path(SECRET_FILE).unlink(missing_ok=True)
            port = free_port()
            with running(command(port), port):
                leaks[name] = try_to_leak(port)
        show_leaks(leaks)
        for name, command in CONTESTANTS.items():
            port = free_port()
            with running(command(port), port):
                loads[name] = generate(f"http://127.0.0.1:{port}/", LOAD_SECONDS)
        show_speed(loads)
    except ServerError as error:
        console.print(f"[red]error:[/] {error}", markup=True)
        return 1
    finally:
        Path(SECRET_FILE).unlink(missing_ok=True)
    if leaked := [what for what, found in leaks["warmfork"].items() if found]:
        console.print(f"[red]leaked in warmfork:[/] {', '.join(leaked)}")
        return 1
    ratio = loads["warmfork"].per_second / loads["fork per connection"].per_second
    console.print(
        f"\nIn warmfork every connection had a pristine copy of the booted program, and nothing leaked:"
        f" {ratio:.1f} times the throughput of a process for each connection."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
