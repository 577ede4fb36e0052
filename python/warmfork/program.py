"""Finds the program that a command names, as a shell does, and looks through the shims of version managers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from warmfork.errors import ProgramError

# The shims of pyenv, rbenv, nodenv, goenv and asdf: shell scripts that end in `exec "/path/to/manager" exec ...`.
_SHIM = re.compile(rb"""^exec\s+["']?(/[^"'\s]+)["']?\s+exec\s""", re.MULTILINE)
_SHIM_LIMIT = 4096
_MANAGER_TIMEOUT = 10


def find_program(name: str, search_path: str | None = None) -> str:
    """Finds the file to run.

    A shim of a version manager needs to fork, which a guest cannot do, so its manager is asked for the real program.

    Args:
        name: A path, or a name to be looked up.
        search_path: Where to look; ``PATH`` by default.

    Returns:
        The absolute path of the program; symbolic links stay, for programs look at their own name.

    Raises:
        ProgramError: There is no such program, or a shim does not lead to one.
    """
    if not name or "\0" in name:
        raise ProgramError(f"{name!r} is not a program")
    found = shutil.which(name, path=search_path)
    if found is None:
        path = Path(name)
        if path.is_dir():
            raise ProgramError(f"{name}: this is a directory, not a program")
        if "/" in name and path.exists():
            raise ProgramError(f"{name}: this file is not executable", f"if it is a program: chmod +x {name}")
        place = "there is no such file" if "/" in name else "not found in PATH"
        raise ProgramError(f"{name}: {place}")
    return _real_program(Path(found).absolute())


def _real_program(path: Path) -> str:
    """The program behind a shim; any other path as it is."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_SHIM_LIMIT)
    except OSError:
        return os.fspath(path)  # the loader reports the problem
    if not beginning.startswith(b"#!") or not (found := _SHIM.search(beginning)):
        return os.fspath(path)
    manager = os.fsdecode(found[1])
    problem = ProgramError(
        f"{path}: this is a shim of {Path(manager).name}: a shell script that forks, which a guest cannot do",
        f"run the program itself: {Path(manager).name} which {path.name} says where it is",
    )
    try:
        answer = subprocess.run(
            [manager, "which", path.name], capture_output=True, text=True, timeout=_MANAGER_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise problem from None
    real = Path(answer.stdout.strip())
    if not real.is_absolute() or not real.is_file() or real == path:
        raise problem
    return os.fspath(real)
