"""``make bench``: one driver, one JSON file, one table.

Serves the same app natively, with a fork per connection where the runtime can, and in warmfork on each platform, in
turn, several times; the median of the rounds' ratios counts. The apps are a Hello on several runtimes, and pages that
React renders on Node and on Deno. Then measures what the engine costs: system calls, resets, forks, from Python too,
and time slices. Checks what SPECIFICATION.md promises, as ratios within one run.

A part that fails is told at the end, with why; the others go on. The JSON file has what is known so far at any time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benches.compare import contests, costs, promises, slices
from benches.compare.contests import CONTESTS, PAGE, Contest
from benches.compare.load import generate
from benches.compare.machine import ROOT, describe, undisturbed
from benches.compare.results import Loads, Results
from benches.compare.servers import free_port, running
from benches.compare.tables import console, show
from benches.interception import run as interception

WARM_UP = 2
"""Seconds of load that do not count."""
MORE_FOR_PAGES = 2
"""Rounds: how fast a round of theirs is depends on what the compiler of the runtime has done by then."""


def compare(contest: Contest, rounds: int, seconds: int, results: Results, loads: Loads) -> None:
    """The rounds of each contestant. They take turns, so that a slow minute hits all of them.

    One that fails has no more turns.
    """
    for number in range(rounds):
        for name, command in contest.contestants.items():
            part = f"{contest.app}, {name}"
            if part in results.failed:
                continue
            console.print(f"round {number + 1} of {rounds}: {part}", style="dim")
            with results.part(part):
                port = free_port()
                with running(command(port), port):
                    generate(f"http://127.0.0.1:{port}/", WARM_UP)
                    loads.setdefault(name, []).append(generate(f"http://127.0.0.1:{port}/", seconds))


def serve(options: argparse.Namespace, platforms: Sequence[str], results: Results) -> None:
    """All contests that are asked for."""
    for kind, makers in CONTESTS.items():
        for runtime, make in makers.items():
            if options.only not in (None, runtime) or (kind == PAGE and options.no_pages):
                continue
            with results.part(f"{kind} on {runtime}"):
                contest = make(platforms)
                if contest is None:
                    results.left_out[f"{kind} on {runtime}"] = "it is not installed"
                    continue
                loads = results.loads.setdefault(kind, {}).setdefault(runtime, {})
                rounds = options.rounds + (MORE_FOR_PAGES if kind == PAGE else 0)
                compare(contest, rounds, options.seconds, results, loads)


def measure_costs(program: Path | None, platforms: Sequence[str], results: Results) -> None:
    """What the engine costs here."""
    if program is not None:
        with results.part("the bench of the engine"):
            costs.measure(program, results)
    for platform in platforms:
        with results.part(f"forks from Python on {platform}"):
            costs.measure_in_python(platform, results)
    with results.part("time slices"):
        slices.measure(slices.build(), platforms, results)
    with results.part("interception"):
        results.interception = interception.measure(sys.stdout)


def measure(options: argparse.Namespace, platforms: Sequence[str], results: Results) -> None:
    """All that is asked for."""
    program = None
    if not options.no_costs:
        with results.part("building the bench of the engine"):
            program = costs.build()
    with undisturbed() as alone:
        results.machine["undisturbed"] = alone
        if not alone:
            console.print("not allowed to go before other work (nice -20): a busy machine will show", style="yellow")
        serve(options, platforms, results)
        if not options.no_costs:
            measure_costs(program, platforms, results)
    if program is not None and not options.no_machine:
        costs.measure_in_machine(program, results)


def main() -> int:
    """Measures, prints, writes.

    Returns:
        The exit code: 1 when a part failed or a promise does not hold.
    """
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of load in a round")
    parser.add_argument("--output", type=Path, default=ROOT / "benches" / "results" / "latest.local.json")
    parser.add_argument("--no-pages", action="store_true", help="leave out the pages")
    parser.add_argument("--only", help="leave out the runtimes that are not called so")
    parser.add_argument("--platform", action="append", help="one that serves; may be repeated; all that work otherwise")
    parser.add_argument("--no-costs", action="store_true", help="leave out what the engine costs")
    parser.add_argument("--no-machine", action="store_true", help="leave out what it costs in an emulated machine")
    options = parser.parse_args()
    platforms = options.platform or contests.platforms()
    results = Results(options.output, describe())
    measure(options, platforms, results)
    results.checks = promises.all_checks(results, platforms)
    results.write()
    show(results)
    console.print(f"written to {options.output}")
    return 0 if results.good else 1


if __name__ == "__main__":
    sys.exit(main())
