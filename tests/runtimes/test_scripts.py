"""Python programs in scripts/: what they print and how they end is as natively."""

from __future__ import annotations

import difflib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from server_kinds import DEBIAN_PYTHON
from serving import TIMEOUT, WARMFORK, environment

pytestmark = pytest.mark.shows("as natively", of="python")
SCRIPTS = Path(__file__).parent / "scripts"
PERMISSIONS = ("--allow-read", "--allow-write", "--allow-net", "--allow-env=LC_ALL,TZ,HOME")
PROCESSES = """
import asyncio, os, subprocess

async def spawn():
    child = await asyncio.create_subprocess_exec("true")
    return await child.wait()

child = os.fork()
if child == 0:
    os._exit(7)
print("fork", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("run", subprocess.run(["sh", "-c", "echo from a child; exit 3"], stdout=subprocess.PIPE, text=True))
print("spawn", asyncio.run(spawn()), flush=True)
os.execv("/bin/echo", ["echo", "exec"])
"""


@pytest.fixture(params=["debian", "venv"])
def python(request: pytest.FixtureRequest, tool: Callable[[str, str], str]) -> str:
    """Debian's interpreter, and that of the virtual environment."""
    return tool(DEBIAN_PYTHON, "python3") if request.param == "debian" else sys.executable


def run(command: list[str | Path], directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command in a new directory."""
    directory.mkdir()
    variables = {name: value for name, value in environment().items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command,
        cwd=directory,
        env=variables | {"LC_ALL": "C.UTF-8", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def in_warmfork(command: list[str | Path], directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command in warmfork, in a new directory."""
    return run([WARMFORK, "run", *PERMISSIONS, "--", *command], directory)


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_as_natively(script: Path, python: str, tmp_path: Path) -> None:
    command = [python, "-B", script, "an argument"]
    native = run(command, tmp_path / "native")
    guest = in_warmfork(command, tmp_path / "guest")
    # A shell's way to tell of a death by signal, which is that of the command line.
    expected = f"status {native.returncode if native.returncode >= 0 else 128 - native.returncode}\n"
    expected += f"{native.stderr}--- output\n{native.stdout}"
    actual = f"status {guest.returncode}\n{guest.stderr}--- output\n{guest.stdout}"
    difference = difflib.unified_diff(
        expected.splitlines(), actual.splitlines(), "natively", "in warmfork", lineterm=""
    )
    assert actual == expected, "\n".join(difference)


def test_the_standard_library_compiles(python: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("one", "two"):
        (source / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (source / "wrong.py").write_text("if:\n")
    done = in_warmfork([python, "-m", "compileall", "-f", source], tmp_path / "guest")
    assert done.returncode == 1
    assert "SyntaxError" in done.stdout
    assert {path.name.split(".")[0] for path in (source / "__pycache__").iterdir()} == {"one", "two"}
    done = in_warmfork([python, "-m", "json.tool", "--compact", "/dev/stdin"], tmp_path / "second")
    assert (done.returncode, done.stdout) == (1, "")


def test_other_processes(python: str, tmp_path: Path) -> None:
    done = in_warmfork([python, "-c", PROCESSES], tmp_path / "guest")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run([python, "-c", PROCESSES], tmp_path / "native").stdout
    assert "from a child" in done.stdout
