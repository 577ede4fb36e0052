"""The guest programs in C: how each is compiled, and where the results are kept.

Imported by the fixtures that run them. As a program, it compiles all of them: scripts/run_tests.py does that before
tests run on a CPU that would take minutes for it. A result is found by what went into it, so nothing is ever stale.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PROGRAMS = TESTS / "programs"
KEPT = TESTS.parent / ".make" / "guests"
STRICT = ["-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread"]
BUILDS = {
    "": [],
    "static": ["-static"],
    "static-pie": ["-static-pie"],
    "nostdlib": ["-nostdlib", "-static", "-fno-stack-protector"],
}
GUESTS = {
    TESTS / "api" / "guests": ["-O1", "-static", "-pthread"],
    TESTS / "isolation" / "guests": ["-O1", "-w", "-static", "-pthread"],
}
MARKER = re.compile(r"// (build|args|stdin|exit|kvm): (.*)")


class CompileError(Exception):
    """A guest does not compile."""


def markers(source: Path) -> dict[str, str]:
    """What the lines at the top of a program of tests/programs say about it, up to the first that is no marker."""
    found = {}
    for line in source.read_text().splitlines():
        match = MARKER.fullmatch(line)
        if not match:
            break
        found[match[1]] = match[2]
    return found


def compiled(source: Path) -> Path:
    """The binary of a program in one of the directories above; it is compiled first when it has not been yet.

    Raises:
        CompileError: It does not compile.
    """
    flags = GUESTS[source.parent] if source.parent in GUESTS else [*STRICT, *BUILDS[markers(source).get("build", "")]]
    top = source.parent if source.parent in GUESTS else PROGRAMS
    content = [path.read_bytes() for path in (source, *sorted(top.rglob("*.h")))]
    key = hashlib.sha256(b"\0".join([compiler().encode(), " ".join(flags).encode(), *content])).hexdigest()[:16]
    binary = KEPT / key / source.stem
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        # Whoever is second replaces the first one's binary with an equal one, at once.
        partial = binary.with_name(f"{binary.name}.{os.getpid()}")
        command = ["gcc", *flags, "-o", str(partial), str(source), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(f"{source} does not compile:\n{done.stderr}")
        partial.replace(binary)
    return binary


@functools.cache
def compiler() -> str:
    """Which compiler it is, told without running it."""
    path = Path(shutil.which("gcc") or "gcc").resolve()
    facts = path.stat() if path.exists() else None
    return f"{path} {facts.st_size} {facts.st_mtime_ns}" if facts else str(path)


def sources() -> list[Path]:
    """Every program that ``compiled`` takes."""
    return sorted([*PROGRAMS.glob("*/*.c"), *(source for directory in GUESTS for source in directory.glob("*.c"))])


if __name__ == "__main__":
    for each in sources():
        compiled(each)
