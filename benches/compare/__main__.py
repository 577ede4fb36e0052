"""``make bench``: one driver, one JSON file, one table.

Serves the same app natively, with a fork per connection and in warmfork, in turn, several times; the median round of
each counts. Then the same with pages that React renders on Node and on Deno, which cannot fork. Then runs the benches
of the crates and checks what SPECIFICATION.md promises, as ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benches.compare import crates, pages
from benches.compare.load import Load, generate, generator
from benches.compare.machine import ROOT, describe, undisturbed
from benches.compare.servers import PYTHON, free_port, in_warmfork, running
from benches.interception import run as interception

HELLO = str(Path(__file__).with_name("hello.py"))
Loads = dict[str, Load]
HELLO_CONTESTANTS: pages.Contestants = {
    "native": lambda port: [PYTHON, HELLO, str(port)],
    "fork per connection": lambda port: [PYTHON, HELLO, str(port), "fork"],
    "warmfork": lambda port: in_warmfork([PYTHON, HELLO, str(port)]),
    "warmfork, not reset": lambda port: in_warmfork([PYTHON, HELLO, str(port)], "--no-ephemeral"),
}
OF_FORKING = 5.0
WARM_UP = 2
"""Seconds of load that do not count."""
OF_NATIVE = 0.4

console = Console(highlight=False)


def compare(app: str, contestants: pages.Contestants, rounds: int, seconds: int) -> Loads:
    """The median round of each contestant. They take turns, so that a slow minute hits all of them."""
    loads: dict[str, list[Load]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, command in contestants.items():
            console.print(f"round {number + 1} of {rounds}: {app}, {name}", style="dim")
            port = free_port()
            with running(command(port), port):
                generate(f"http://127.0.0.1:{port}/", WARM_UP)
                loads[name].append(generate(f"http://127.0.0.1:{port}/", seconds))
    return {name: sorted(runs, key=lambda load: load.per_second)[len(runs) // 2] for name, runs in loads.items()}


def check(loads: Loads, rendered: dict[str, Loads], measured: dict[str, crates.Measurement]) -> list[dict[str, Any]]:
    """What is promised, and whether it holds here."""
    forking = loads["warmfork"].per_second / loads["fork per connection"].per_second
    native = loads["warmfork"].per_second / loads["native"].per_second
    checks: list[tuple[str, float, str, bool]] = [
        ("throughput, times fork per connection", forking, f">= {OF_FORKING:g}", forking >= OF_FORKING),
        ("throughput, of native without isolation", native, f">= {OF_NATIVE:g}", native >= OF_NATIVE),
        ("failed requests in warmfork", loads["warmfork"].errors, "0", loads["warmfork"].errors == 0),
        *(pages.check(name, contest) for name, contest in rendered.items() if f"warmfork {pages.BOUND}" in contest),
        *crates.checks(measured),
    ]
    return [
        {"promise": promise, "measured": round(value, 3), "bound": bound, "holds": holds}
        for promise, value, bound, holds in checks
    ]


def show_loads(app: str, loads: dict[str, dict[str, float]]) -> None:
    """Prints what each contestant did."""
    title = f"{app}, one at a time, Connection: close, by {generator()}"
    table = Table(title=title, title_justify="left")
    for column in ("", "p50", "p90", "p99", "1/s", "p50/native", "rate/native"):
        table.add_column(column, justify="right" if column else "left")
    native = loads["native"]
    for name, load in loads.items():
        times = (f"{load[share] * 1e3:.2f} ms" for share in ("p50", "p90", "p99"))
        shares = (f"{load[of] / native[of]:.2f}" for of in ("p50", "per_second"))
        table.add_row(name, *times, f"{load['per_second']:,.0f}", *shares)
    console.print(table)


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    show_loads("wsgiref Hello", results["requests"])
    for name, loads in results["pages"].items():
        show_loads(f"A page by React on {name}", loads)
    if results["crates"]:
        table = Table(title="Benches of the crates", title_justify="left")
        table.add_column("bench")
        table.add_column("measured", justify="right")
        for name, measurement in results["crates"].items():
            table.add_row(name, f"{measurement['value']:,.3f} {measurement['unit']}")
        console.print(table)
    table = Table(title="What is promised", title_justify="left")
    for column in ("promise", "bound", "measured", ""):
        table.add_column(column)
    for entry in results["checks"]:
        verdict = "[green]holds[/]" if entry["holds"] else "[red]does not hold[/]"
        table.add_row(entry["promise"], entry["bound"], f"{entry['measured']:g}", verdict)
    console.print(table)


def as_plain(loads: Loads) -> dict[str, dict[str, float]]:
    """For JSON."""
    return {name: asdict(load) for name, load in loads.items()}


def main() -> int:
    """Measures, prints, writes.

    Returns:
        The exit code: 1 when a promise does not hold.
    """
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of load in a round")
    parser.add_argument("--output", type=Path, default=ROOT / "benches" / "results" / "latest.local.json")
    parser.add_argument("--no-pages", action="store_true", help="leave out the pages")
    parser.add_argument("--page-platform", action="append", help="one that renders pages; may be repeated")
    parser.add_argument("--no-crates", action="store_true", help="leave out the benches of the crates")
    options = parser.parse_args()
    options.page_platform = options.page_platform or [pages.BOUND]

    if not options.no_crates:
        crates.build()
    with undisturbed() as alone:
        if not alone:
            console.print("not allowed to go before other work (SCHED_FIFO): a busy machine will show", style="yellow")
        loads = compare("Hello", HELLO_CONTESTANTS, options.rounds, options.seconds)
        rendered = {
            name: compare(name, pages.contestants(command, options.page_platform), options.rounds, options.seconds)
            for name, command in ({} if options.no_pages else pages.runtimes()).items()
        }
        measured = {} if options.no_crates else crates.measure()
        prices = {} if options.no_crates else interception.measure(sys.stdout)
    results: dict[str, Any] = {
        "machine": {**describe(), "undisturbed": alone},
        "requests": as_plain(loads),
        "pages": {name: as_plain(contest) for name, contest in rendered.items()},
        "crates": {name: asdict(measurement) for name, measurement in measured.items()},
        "interception": prices,
        "checks": check(loads, rendered, measured),
    }
    show(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"written to {options.output}")
    return 0 if all(entry["holds"] for entry in results["checks"]) else 1


if __name__ == "__main__":
    sys.exit(main())
