"""A Hello served inside the emulated machine: ``python -m benches.compare.in_machine``, run there.

Natively and in warmfork on each platform, after some requests that do not count. Says a JSON object a line; costs.py
reads them.
"""

from __future__ import annotations

import sys

from benches.compare import contests
from benches.compare.in_python import say
from benches.compare.load import Load, LoadError, fetch, generate
from benches.compare.servers import ServerError, free_port, running

BEFORE = 50
"""Requests that do not count."""
SECONDS = 40
"""Of load: some thousand requests natively, on a CPU that is 10 to 30 times slower."""
NATIVE = "native"
RATE = "Hello by wsgiref, requests a second"


def serve(command: list[str], port: int) -> Load:
    """Loads the server that ``command`` starts."""
    with running(command, port):
        for _ in range(BEFORE):
            fetch("127.0.0.1", port)
        return generate(f"http://127.0.0.1:{port}/", SECONDS)


def main() -> int:
    """Measures; returns the exit code."""
    platforms = contests.platforms()
    wanted = [NATIVE, *(f"warmfork {platform}" for platform in platforms)]
    makers = contests.python(platforms).contestants
    rates: dict[str, float] = {}
    failed = False
    for name in wanted:
        place = name.removeprefix("warmfork ")
        port = free_port()
        try:
            load = serve(makers[name](port), port)
        except (ServerError, LoadError, OSError) as error:
            say(f"{place}/{RATE}", failed=str(error))
            failed = True
            continue
        if load.errors:
            say(f"{place}/{RATE}", failed=f"{load.errors} of {load.requests} requests failed")
            failed = True
            continue
        rates[name] = load.per_second
        say(f"{place}/{RATE}", value=load.per_second, unit="1/s")
        say(f"{place}/Hello by wsgiref, p50", value=load.p50 * 1e3, unit="ms")
        say(f"{place}/Hello by wsgiref, p99 of p50", value=load.p99 / load.p50, unit="times")
        if NATIVE in rates:
            say(f"{place}/{RATE}, of native", value=load.per_second / rates[NATIVE], unit="times")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
