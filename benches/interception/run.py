"""Builds the C program beside it, runs it, prints its table: ``python benches/interception/run.py``.

``benches.compare`` calls :func:`measure`. Needs a C compiler (``$CC`` or gcc) and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
TIMEOUT = 180.0


def measure(table: IO[str]) -> dict[str, Any]:
    """Builds the program in a temporary directory and runs it; its table goes to the file ``table``.

    Raises:
        subprocess.CalledProcessError: It can't be built, or it failed.
        subprocess.TimeoutExpired: It hung.
    """
    with tempfile.TemporaryDirectory(prefix="interception-") as directory:
        program = Path(directory) / "interception"
        flags = ["-O2", "-Wall", "-Wextra"]
        compiler = os.environ.get("CC", "gcc")
        subprocess.run([compiler, *flags, "-o", program, *sorted(HERE.glob("*.c"))], check=True)
        done = subprocess.run([program, "--json"], stdout=subprocess.PIPE, stderr=table, check=True, timeout=TIMEOUT)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def main() -> int:
    """Measures and prints; writes when asked.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, help="write the JSON here, for example under benches/results/")
    options = parser.parse_args()
    results = measure(sys.stdout)
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=2) + "\n")
        print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
