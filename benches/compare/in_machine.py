"""A Hello served inside the emulated machine: ``python -m benches.compare.in_machine``, run there.

Natively and in warmfork on each platform. All servers are there from the start and are loaded by turns, so that a slow
minute hits all of them. Says a JSON object a line; costs.py reads them.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from statistics import mean, median

from benches.compare import contests
from benches.compare.in_python import say
from benches.compare.load import Load, LoadError, fetch, generate
from benches.compare.servers import ServerError, free_port, running

BEFORE = 50
"""Requests that do not count."""
TURNS = 6
SECONDS = 8
"""Of load in a turn: some hundred requests, on a CPU that is 10 to 30 times slower."""
NATIVE = "native"
HELLO = "Hello by wsgiref"
RATE = f"{HELLO}, requests a second"


def turn(port: int) -> Load:
    """Loads the server at ``port``.

    Raises:
        LoadError: It could not be loaded, or a request failed.
    """
    load = generate(f"http://127.0.0.1:{port}/", SECONDS)
    if load.errors:
        raise LoadError(f"{load.errors} of {load.requests} requests failed")
    return load


def report(place: str, loads: list[Load], native: list[Load]) -> None:
    """Says what the turns of the server at ``place`` were like."""
    rate = mean(load.per_second for load in loads)
    say(f"{place}/{RATE}", value=rate, unit="1/s")
    say(f"{place}/{HELLO}, p50", value=median(load.p50 for load in loads) * 1e3, unit="ms")
    say(f"{place}/{HELLO}, p99 of p50", value=median(load.p99 / load.p50 for load in loads), unit="times")
    if native:
        say(f"{place}/{RATE}, of native", value=rate / mean(load.per_second for load in native), unit="times")


def serve(place: str, servers: ExitStack) -> int:
    """Starts the server at ``place`` and has it answer the requests that do not count; its port.

    Raises:
        ServerError: It did not start.
    """
    port = free_port()
    command = contests.python(contests.platforms()).contestants[place if place == NATIVE else f"warmfork {place}"](port)
    servers.enter_context(running(command, port))
    for _ in range(BEFORE):
        fetch("127.0.0.1", port)
    return port


def main() -> int:
    """Measures; returns the exit code."""
    places = (NATIVE, *contests.platforms())
    ports: dict[str, int] = {}
    loads: dict[str, list[Load]] = {}
    with ExitStack() as servers:
        for place in places:
            try:
                ports[place] = serve(place, servers)
            except (ServerError, OSError) as error:
                say(f"{place}/{RATE}", failed=str(error))
        for place in list(ports) * TURNS:
            if place not in ports:
                continue
            try:
                loads.setdefault(place, []).append(turn(ports[place]))
            except (LoadError, OSError) as error:
                say(f"{place}/{RATE}", failed=str(error))
                del ports[place], loads[place]
    for place in ports:
        report(place, loads[place], loads.get(NATIVE, []))
    return int(len(ports) < len(places))


if __name__ == "__main__":
    sys.exit(main())
