"""``make bench``: one driver, one JSON file, one table.

Serves the same app natively, with a fork per connection where the runtime can, and in warmfork on each platform, in
turn, several times; the median round of each counts. The apps are a Hello on several runtimes, and pages that React
renders on Node and on Deno. Then runs the benches of the crates and checks what SPECIFICATION.md promises, as ratios
within one run.
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

from benches.compare import contests, crates, promises
from benches.compare.contests import Contest
from benches.compare.load import Load, generate, generator
from benches.compare.machine import ROOT, describe, undisturbed
from benches.compare.promises import Check, Loads
from benches.compare.servers import free_port, running
from benches.interception import run as interception

WARM_UP = 2
"""Seconds of load that do not count."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def compare(contest: Contest, rounds: int, seconds: int) -> Loads:
    """The median round of each contestant. They take turns, so that a slow minute hits all of them."""
    loads: dict[str, list[Load]] = {name: [] for name in contest.contestants}
    for number in range(rounds):
        for name, command in contest.contestants.items():
            console.print(f"round {number + 1} of {rounds}: {contest.app}, {name}", style="dim")
            port = free_port()
            with running(command(port), port):
                generate(f"http://127.0.0.1:{port}/", WARM_UP)
                loads[name].append(generate(f"http://127.0.0.1:{port}/", seconds))
    return {name: sorted(runs, key=lambda load: load.per_second)[len(runs) // 2] for name, runs in loads.items()}


def check(
    hellos: dict[str, Loads], pages: dict[str, Loads], here: crates.Measured, in_machine: crates.Measured
) -> list[dict[str, Any]]:
    """What is promised, and whether it holds here."""
    python = hellos.get("Python", {})
    checks: list[Check] = promises.hello(python) if promises.BOUND in python else []
    checks += [promises.page(name, loads) for name, loads in pages.items() if promises.BOUND in loads]
    checks.append(promises.errors([*hellos.values(), *pages.values()]))
    checks += crates.checks(here)
    checks += crates.kvm_checks("here", here)
    checks += crates.kvm_checks("emulated machine", in_machine)
    return [
        {"promise": promise, "measured": round(value, 3), "bound": bound, "holds": holds}
        for promise, value, bound, holds in checks
    ]


def show_loads(app: str, loads: dict[str, dict[str, float]]) -> None:
    """Prints what each contestant did."""
    title = f"{app}, one at a time, Connection: close, by {generator()}"
    table = Table(title=title, title_justify="left")
    for column in ("", "p50", "p90", "p99", "1/s", "of native", "rate, of it"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    native = loads["native"]
    for name, load in loads.items():
        times = (f"{load[share] * 1e3:.2f} ms" for share in ("p50", "p90", "p99"))
        shares = (f"{load[of] / native[of]:.2f}" for of in ("p50", "per_second"))
        table.add_row(name, *times, f"{load['per_second']:,.0f}", *shares)
    console.print(table)


def show(results: dict[str, Any]) -> None:
    """Prints the tables."""
    for kind in ("Hello", "A page by React"):
        for name, loads in results[kind].items():
            show_loads(f"{kind} on {name}", loads)
    if results["crates"]:
        table = Table(title="Benches of the crates", title_justify="left")
        table.add_column("bench")
        for column in ("here", "emulated machine, KVM of hardware"):
            table.add_column(column, justify="right")
        for name, measurement in results["crates"].items():
            columns = (measurement, results["crates in the machine"].get(name))
            table.add_row(name, *(f"{one['value']:,.3f} {one['unit']}" if one else "" for one in columns))
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
    parser.add_argument("--only", help="leave out the runtimes that are not called so")
    parser.add_argument("--platform", action="append", help="one that serves; may be repeated; all that work otherwise")
    parser.add_argument("--no-crates", action="store_true", help="leave out the benches of the crates")
    parser.add_argument("--no-machine", action="store_true", help="leave out what they measure in an emulated machine")
    options = parser.parse_args()
    chosen = options.platform or contests.platforms()

    program = None if options.no_crates else crates.build()

    def all_of(found: dict[str, Contest]) -> dict[str, Loads]:
        return {
            name: compare(contest, options.rounds, options.seconds)
            for name, contest in found.items()
            if options.only in (None, name)
        }

    with undisturbed() as alone:
        if not alone:
            console.print("not allowed to go before other work (nice -20): a busy machine will show", style="yellow")
        hellos = all_of(contests.hellos(chosen))
        pages = {} if options.no_pages else all_of(contests.pages(chosen))
        here = crates.measure(program) if program else {}
        prices = interception.measure(sys.stdout) if program else {}
    in_machine = crates.measure_in_machine(program) if program and not options.no_machine else {}
    results: dict[str, Any] = {
        "machine": {**describe(), "undisturbed": alone},
        "Hello": {name: as_plain(loads) for name, loads in hellos.items()},
        "A page by React": {name: as_plain(loads) for name, loads in pages.items()},
        "crates": crates.as_plain(here),
        "crates in the machine": crates.as_plain(in_machine),
        "interception": prices,
        "checks": check(hellos, pages, here, in_machine),
    }
    show(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=2) + "\n")
    console.print(f"written to {options.output}")
    return 0 if all(entry["holds"] for entry in results["checks"]) else 1


if __name__ == "__main__":
    sys.exit(main())
