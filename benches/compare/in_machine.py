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
HELLO = "Hello by wsgiref"
RATE = f"{HELLO}, requests a second"


def serve(command: list[str], port: int) -> Load:
    """Loads the server that ``command`` starts.

    Raises:
        ServerError: It did not start.
        LoadError: It could not be loaded, or a request failed.
    """
    with running(command, port):
        for _ in range(BEFORE):
            fetch("127.0.0.1", port)
        load = generate(f"http://127.0.0.1:{port}/", SECONDS)
    if load.errors:
        raise LoadError(f"{load.errors} of {load.requests} requests failed")
    return load


def main() -> int:
    """Measures; returns the exit code."""
    platforms = contests.platforms()
    makers = contests.python(platforms).contestants
    native = None
    failed = False
    for place in (NATIVE, *platforms):
        port = free_port()
        try:
            load = serve(makers[place if place == NATIVE else f"warmfork {place}"](port), port)
        except (ServerError, LoadError, OSError) as error:
            say(f"{place}/{RATE}", failed=str(error))
            failed = True
            continue
        say(f"{place}/{RATE}", value=load.per_second, unit="1/s")
        say(f"{place}/{HELLO}, p50", value=load.p50 * 1e3, unit="ms")
        say(f"{place}/{HELLO}, p99 of p50", value=load.p99 / load.p50, unit="times")
        if place == NATIVE:
            native = load
        if native:
            say(f"{place}/{RATE}, of native", value=load.per_second / native.per_second, unit="times")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
