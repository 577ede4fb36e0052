"""Prints the results as tables."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benches.compare.load import Load, generator
from benches.compare.results import Loads, Results, in_rounds

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def show(results: Results) -> None:
    """All of them; last which part failed, and why."""
    for kind, contests in results.loads.items():
        for runtime, loads in contests.items():
            show_loads(f"{kind} on {runtime}", loads)
    show_costs(results)
    show_checks(results)
    for part, why in results.left_out.items():
        console.print(f"[yellow]left out:[/] {part}: ", end="")
        console.print(why, markup=False)
    for part, why in results.failed.items():
        console.print(f"[red]failed:[/] {part}: ", end="")
        console.print(why, markup=False)


def show_loads(app: str, loads: Loads) -> None:
    """What each contestant did in its median round, and the ratios to native."""
    title = f"{app}, one at a time, Connection: close, by {generator()}"
    table = Table(title=title, title_justify="left")
    for column in ("", "p50", "p90", "p99", "1/s", "of native", "rate, of it"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, rounds in loads.items():
        load = sorted(rounds, key=lambda load: load.per_second)[len(rounds) // 2]
        times = (f"{time * 1e3:.2f} ms" for time in (load.p50, load.p90, load.p99))
        measures: list[Callable[[Load], float]] = [lambda load: load.p50, lambda load: load.per_second]
        shares = (in_rounds(loads, name, "native", measure) for measure in measures)
        columns = ("" if share is None else f"{share:.2f}" for share in shares)
        table.add_row(name, *times, f"{load.per_second:,.0f}", *columns)
    console.print(table)


def show_costs(results: Results) -> None:
    """What the engine costs, here and in the emulated machine."""
    names = dict.fromkeys([*results.costs, *results.costs_in_machine])
    if not names:
        return
    table = Table(title="What the engine costs", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("here", "emulated machine"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in sorted(names, key=lambda name: name.split("/")[0]):
        columns = (results.costs.get(name), results.costs_in_machine.get(name))
        table.add_row(name, *(f"{one.value:,.3f} {one.unit}" if one else "" for one in columns))
    console.print(table)


def show_checks(results: Results) -> None:
    """What is promised."""
    table = Table(title=f"What is promised, at commit {results.machine['commit']}", title_justify="left")
    for column in ("promise", "bound", "measured", ""):
        table.add_column(column)
    verdicts = {True: "[green]holds[/]", False: "[red]does not hold[/]", None: "[yellow]not measured[/]"}
    for check in results.checks:
        measured = "" if check.measured is None else f"{round(check.measured, 3):g}"
        table.add_row(check.promise, check.bound, measured, verdicts[check.holds])
    console.print(table)
