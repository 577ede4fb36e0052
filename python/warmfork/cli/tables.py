"""The tables of the command line: system calls, abilities of the host, counters of a server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from warmfork import _core
from warmfork.cli import output

if TYPE_CHECKING:
    from warmfork.types import ServerStatistics


def show_syscalls(as_json: bool) -> int:
    """Lists the table of system calls that the engine works by."""
    calls = _core.syscalls()
    if as_json:
        names = ("number", "name", "support", "note")
        json.dump([dict(zip(names, call, strict=True)) for call in calls], sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("number", justify="right")
    for column in ("name", "support", "note"):
        table.add_column(column)
    for number, name, level, note in calls:
        table.add_row(str(number), name, level, note)
    output.console().print(table)
    return 0


def show_doctor(as_json: bool) -> int:
    """Shows the results of the probes on this host, and the platform of ``auto``.

    Returns:
        The exit code: 1 when no platform works.
    """
    diagnosis = _core.doctor()
    code = 0 if diagnosis["platform"] else 1
    if as_json:
        json.dump(diagnosis, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return code
    from rich.table import Table

    table = Table(box=None, show_header=False)
    for fact in diagnosis["facts"]:
        mark = "[green]ok[/]" if fact["good"] else "[yellow]no[/]"
        table.add_row(mark, fact["name"], fact["value"], fact["why"])
    console = output.console()
    console.print(table)
    if diagnosis["platform"]:
        console.print(f"\nguests run on: [bold]{diagnosis['platform']}[/] (--platform chooses another)")
    else:
        console.print("\n[red]no platform works on this host[/]")
    return code


def show_statistics(statistics: ServerStatistics) -> None:
    """Shows a server's counters and its latency."""
    from rich.table import Table

    table = Table(box=None, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in statistics.items():
        if isinstance(value, int):
            table.add_row(name.replace("_", " "), f"{value:,}")
        elif isinstance(value, float):
            table.add_row(name.replace("_", " "), f"{value:.3f}")
    latency = statistics["latency"]
    if latency["count"]:
        table.add_row("mean request", f"{latency['sum_seconds'] / latency['count'] * 1e3:.3f} ms")
        for share in (0.5, 0.99):
            table.add_row(f"p{share * 100:g} request", f"<= {_quantile(latency['buckets'], latency['count'], share)}")
    output.console(stderr=True).print(table)


def _quantile(buckets: list[tuple[float, int]], count: int, share: float) -> str:
    """The upper bound of the bucket in which a share of all requests ends."""
    for bound, cumulative in buckets:
        if cumulative >= share * count:
            return f"{bound * 1e3:g} ms"
    return "more"
