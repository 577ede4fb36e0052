"""Writes docs/compatibility.md from what the tests of tests/runtimes have shown: from their last recorded results.

Used by generate_docs.py. ``make compatibility`` records; tests/style checks that every test of a runtime is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests" / "runtimes" / "results.json"
PAGE = ROOT / "docs" / "compatibility.md"
PLATFORMS = ("process", "kvm")
TESTS = "../tests/runtimes"

ASPECTS = {
    "isolation": "What one connection left in memory, no other sees: not the next, not those beside it, not the one "
    "after a connection that says nothing",
    "keep-alive": "A connection keeps its own state from request to request, where the server keeps connections open",
    "large bodies": "A MiB goes each way",
    "files": "A request writes, reads and removes files",
    "wrk with close": "A connection for each request: no answer is missing, each is a pristine fork's",
    "wrk with keep-alive": "Many requests on a connection: no answer is missing, each is the connection's next",
    "pristine": "After a reset no byte, register, descriptor, timer or mapping differs from a new fork's "
    "(`Fork.differences`)",
    "numpy in a request": "FastAPI: pydantic validates models, numpy does linear algebra with threads of its own",
    "backends": "4 users make {asked} requests side by side, and some leave: each gets its own answers from a backend, "
    "to which the server was connected at the freeze",
    "flags": "`warmfork serve`: permissions, warm-up, workers, limits, metrics, stopping",
    "no leak": "{requests} requests leave no file, process, thread, mapping or memory behind",
}
INTRODUCTION = """\
# Compatibility

What runs unmodified, shown by [tests/runtimes](../tests/runtimes) on Linux x86-64 with the versions named. `make
compatibility` runs those tests on both platforms and writes this page. What each system call comes to, and what is
missing, is in [reference/syscalls.md](reference/syscalls.md): {levels}.
"""
SERVERS = """\
## Servers

Each was booted, frozen when it listened, and served with a fork for each connection. *All* means:

| aspect | what was tested |
| --- | --- |
{aspects}

| server | version | process | kvm | remarks |
| --- | --- | --- | --- | --- |
{rows}
"""
CLIENTS = """\
## Clients of backends

Each was connected to a real backend before its server was frozen. 4 users made {asked} requests side by side, of two
forks, and some left before they had read: each got its own answers. Some clients connect again by themselves, for some
the program must: [guides/backends.md](guides/backends.md) tells which.

| client | version | process | kvm | remarks |
| --- | --- | --- | --- | --- |
{rows}
"""
PROGRAMS = """\
## Programs

Each ran in `warmfork run`; what it printed, how it ended and the files that it left were compared with a run without
warmfork. The numbers count such runs.

| program | version | process | kvm | remarks |
| --- | --- | --- | --- | --- |
{rows}
"""
REFUSED = """\
## What does not work

Each is tested as well: a guest that tries gets the error of Linux that the table names, and goes on.

| what | what a guest gets | process | kvm |
| --- | --- | --- | --- |
{rows}
"""

Aspects = dict[str, dict[str, Any]]


def works(tally: dict[str, Any]) -> bool:
    """Whether all tests of an aspect passed, and there were some."""
    return bool(tally.get("passed")) and not tally.get("failed")


def remarks(subject: dict[str, Any]) -> str:
    """Why what was not tested was not, on any platform."""
    found: dict[str, None] = {}
    for platform in PLATFORMS:
        for aspect, tally in subject.get(platform, {}).items():
            for reason in tally.get("reasons", []):
                found[f"{aspect}: {reason}"] = None
    return "; ".join(found)


def served(aspects: Aspects) -> str:
    """How a server did on a platform."""
    if not aspects:
        return "not tested"
    broken = [name for name, tally in aspects.items() if tally.get("failed")]
    return f"all but {', '.join(broken)}" if broken else "all"


def ran(aspects: Aspects) -> str:
    """How a program did on a platform."""
    if not aspects:
        return "not tested"
    tallies = aspects.values()
    passed = sum(tally.get("passed", 0) for tally in tallies)
    run = passed + sum(tally.get("failed", 0) for tally in tallies)
    return "all" if passed == run == 1 else f"{passed} of {run}"


def refused(aspects: Aspects) -> str:
    """Whether a platform refuses what cannot be had as the page tells."""
    if not aspects:
        return "not tested"
    return "refused" if all(works(tally) for tally in aspects.values()) else "not as told"


def requests(results: dict[str, Any], aspect: str) -> str:
    """How many requests the tests of an aspect made, at least."""
    counts = {
        platform: min(
            (
                tally["requests"]
                for subject in results.values()
                for name, tally in subject.get(platform, {}).items()
                if name == aspect and "requests" in tally
            ),
            default=0,
        )
        for platform in PLATFORMS
    }
    if len(set(counts.values())) == 1:
        return f"{counts['process']:,}"
    return " and ".join(f"{count:,} (on {platform})" for platform, count in counts.items())


def page(levels: dict[str, int]) -> str:
    """The page; ``levels`` says how many system calls there are of each level of support."""
    results: dict[str, Any] = json.loads(RESULTS.read_text())
    rows: dict[str, list[str]] = {"serves": [], "asks": [], "runs": [], "refused": []}
    for name, subject in sorted(results.items(), key=lambda entry: entry[1]["about"].lower()):
        kind, about = subject["kind"], subject["about"]
        show = {"serves": served, "asks": served, "runs": ran, "refused": refused}[kind]
        cells = [show(subject.get(platform, {})) for platform in PLATFORMS]
        if kind == "refused":
            happens = next(iter(next(subject[platform] for platform in PLATFORMS if platform in subject)))
            rows[kind].append(f"| {about} | {happens} | {' | '.join(cells)} |")
        else:
            assert kind != "serves" or set().union(*(subject.get(each, {}) for each in PLATFORMS)) <= set(ASPECTS), name
            title = about if name.endswith(" program") else f"{about} (`{name}`)"
            rows[kind].append(f"| {title} | {subject['version']} | {' | '.join(cells)} | {remarks(subject)} |")
    counts = {"requests": requests(results, "no leak"), "asked": requests(results, "backends")}
    aspects = [f"| {name} | {text.format(**counts)} |" for name, text in ASPECTS.items()]
    support = ", ".join(f"{count} {level}" for level, count in levels.items())
    return "\n".join(
        [
            "<!-- Generated by `make docs` from tests/runtimes/results.json. -->\n",
            INTRODUCTION.format(levels=support),
            SERVERS.format(aspects="\n".join(aspects), rows="\n".join(rows["serves"])),
            CLIENTS.format(rows="\n".join(rows["asks"]), **counts),
            PROGRAMS.format(rows="\n".join(rows["runs"])),
            REFUSED.format(rows="\n".join(rows["refused"])),
        ]
    )
