"""``warmfork run`` with programs of Debian."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Tool = Callable[[str, str], str]


@pytest.fixture
def busybox(tool: Tool) -> str:
    """Static busybox."""
    return tool("busybox", "busybox-static")


@pytest.fixture
def python(tool: Tool) -> str:
    """Debian's Python."""
    return tool("/usr/bin/python3", "python3")


@pytest.mark.parametrize("command", [["true"], ["false"], ["echo", "a  b", ""], ["printf", "%s-", "1", "2"]])
def test_programs_end_as_they_do_natively(warmfork: Any, busybox: str, command: list[str]) -> None:
    expected = subprocess.run([busybox, *command], capture_output=True, text=True, check=False)
    done = warmfork("run", busybox, *command)
    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_everything_from_the_program_on_is_the_programs(warmfork: Any, busybox: str) -> None:
    assert warmfork("run", busybox, "echo", "--version", "--allow-all", "--").stdout == "--version --allow-all --\n"
    assert warmfork("run", "--", busybox, "echo", "--").stdout == "--\n"


def test_programs_are_found_in_path(warmfork: Any, busybox: str) -> None:
    directory, name = os.path.split(busybox)
    assert warmfork("run", name, "echo", "found", PATH=directory).stdout == "found\n"


def test_standard_input_is_the_programs(warmfork: Any, busybox: str) -> None:
    assert warmfork("run", busybox, "cat", stdin="some text\nmore").stdout == "some text\nmore"


def test_python_says_its_version(warmfork: Any, python: str) -> None:
    expected = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout
    done = warmfork("run", python, "--version")
    assert (done.returncode, done.stdout) == (0, expected)


def test_python_reads_and_writes_where_it_may(warmfork: Any, python: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "data.json").write_text('{"numbers": [1, 2, 3]}')
    (tmp_path / "out").mkdir()
    (tmp_path / "script.py").write_text(
        "import json, pathlib, sys\n"
        "numbers = json.loads(pathlib.Path('in/data.json').read_text())['numbers']\n"
        "pathlib.Path('out/sum').write_text(str(sum(numbers)))\n"
        "sys.exit(sum(numbers))\n"
    )
    done = warmfork("run", "--allow-read=/usr,in,script.py", "--allow-write=out", python, "script.py")
    assert done.returncode == 6, done.stderr
    assert (tmp_path / "out" / "sum").read_text() == "6"


def test_a_denied_path_names_its_flag(warmfork: Any, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    done = warmfork("run", busybox, "cat", "secret")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Permission denied" in done.stderr
    assert f"--allow-read={tmp_path}/secret" in done.stderr
    assert warmfork("run", "--allow-read=secret", busybox, "cat", "secret").stdout == "secret"
    denied = warmfork("run", "--allow-read", busybox, "touch", "new")
    assert denied.returncode == 1
    assert f"--allow-write={tmp_path}" in denied.stderr
    assert not (tmp_path / "new").exists()


def test_the_environment_is_what_is_allowed(warmfork: Any, busybox: str) -> None:
    assert warmfork("run", busybox, "env", APP_A="1").stdout == ""
    assert warmfork("run", "--allow-env=APP_*", "--env", "B=2", busybox, "env", APP_A="1").stdout == "APP_A=1\nB=2\n"


def test_volumes_show_paths_elsewhere(warmfork: Any, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("content")
    assert warmfork("run", "--volume=data:/srv", busybox, "cat", "/srv/file").stdout == "content"
    assert warmfork("run", "--volume=data:/srv", busybox, "touch", "/srv/new").returncode == 1
    assert warmfork("run", "--volume=data:/srv:rw", busybox, "touch", "/srv/new").returncode == 0
    assert (tmp_path / "data" / "new").exists()


def test_what_may_only_be_written_is_not_moved_to_where_it_may_be_read(
    warmfork: Any, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "sealed" / "inner").mkdir(parents=True)
    (tmp_path / "sealed" / "secret").write_text("secret")
    (tmp_path / "open").mkdir()
    flags = ["--allow-read=open", "--allow-write=sealed,open"]
    for command in (
        ["mv", "sealed/secret", "open/"],
        ["ln", "sealed/secret", "open/"],
        ["mv", "sealed/inner", "open/"],
    ):
        denied = warmfork("run", *flags, busybox, *command)
        assert denied.returncode == 1, command
        assert f"--allow-read={tmp_path}/sealed" in denied.stderr, command
    assert list((tmp_path / "open").iterdir()) == []
    assert warmfork("run", *flags, busybox, "mv", "sealed/secret", "sealed/moved").returncode == 0


def test_a_volume_stays_where_it_is(warmfork: Any, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "data" / "above" / "fixed").mkdir(parents=True)
    volumes = ["--volume=data:/srv:rw", "--volume=data/above/fixed:/srv/above/fixed"]
    refused = warmfork("run", *volumes, busybox, "mv", "/srv/above", "/srv/moved")
    assert refused.returncode == 1
    assert "Device or resource busy" in refused.stderr
    assert warmfork("run", *volumes, busybox, "mv", "/srv/above/fixed", "/srv/moved").returncode == 1
    assert (tmp_path / "data" / "above" / "fixed").is_dir()


def test_a_killed_program_ends_with_128_and_the_signal(warmfork: Any, python: str) -> None:
    code = f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})"
    assert warmfork("run", "--allow-read", python, "-c", code).returncode == 128 + signal.SIGTERM


def test_settings_from_a_file(warmfork: Any, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "warmfork.toml").write_text('env = ["A=from the file"]\nthreads = 2\n')
    done = warmfork("run", busybox, "env")
    assert (done.stdout, done.stderr) == (
        "A=from the file\n",
        "config: warmfork.toml of this directory sets env, threads\n",
    )
    assert warmfork("run", "--quiet", busybox, "env").stderr == ""
    assert warmfork("run", "--config=warmfork.toml", busybox, "env").stderr == ""


def test_a_file_that_nobody_named_gives_no_permissions(warmfork: Any, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "warmfork.toml").write_text("allow-all = true\n")
    done = warmfork("run", busybox, "cat", "/etc/hostname")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: warmfork.toml: allow-all: a file gives permissions only if it is named\n"
        "hint: --config=warmfork.toml names it, if you trust it\n"
    )
    assert warmfork("run", "--config=warmfork.toml", busybox, "cat", "/etc/hostname").returncode == 0
    assert warmfork("run", busybox, "cat", "/etc/hostname", WARMFORK_CONFIG="warmfork.toml").returncode == 0


def test_a_terminal_is_passed_through(warmfork_command: Path, environment: dict[str, str], python: str) -> None:
    leader, follower = pty.openpty()
    code = "import os, sys; print(*(os.isatty(fd) for fd in range(3)), os.get_terminal_size().columns)"
    try:
        subprocess.run(
            [warmfork_command, "run", "--allow-read", python, "-c", code],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=environment,
            check=True,
        )
        assert os.read(leader, 10000).endswith(b"True True True 0\r\n")
    finally:
        os.close(leader)
        os.close(follower)


def test_ctrl_c_ends_with_130(warmfork_command: Path, environment: dict[str, str], busybox: str) -> None:
    command = [warmfork_command, "run", busybox, "sh", "-c", "echo ready; read forever"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_errors_are_lines(warmfork: Any, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("not a program")
    program.chmod(0o755)
    done = warmfork("run", "./program")
    assert done.returncode == 127
    assert done.stderr == f"error: load of {program} failed: it is not an ELF file\n"
    refused = warmfork("run", "--platform=xen", "true")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: --platform: 'xen': input should be 'auto'")


def test_doctor_and_system_calls_as_json(warmfork: Any) -> None:
    diagnosis = json.loads(warmfork("doctor", "--json").stdout)
    assert diagnosis["platform"] in {"process", "kvm"}
    assert {fact["name"] for fact in diagnosis["facts"]} > {"kernel", "process platform", "openat2"}
    calls = json.loads(warmfork("syscalls", "--json").stdout)
    assert calls[0] == {"number": 0, "name": "read", "support": "full", "note": calls[0]["note"]}
    assert "guests run on: process" in warmfork("doctor").stdout
    assert " 0  read" in warmfork("syscalls").stdout


def test_trace(warmfork: Any, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    done = warmfork("run", "--trace", "--allow-read", busybox, "cat", "file", "missing")
    lines = [line for line in done.stderr.splitlines() if line.startswith("trace: [")]
    assert any("open" in line and '"file"' in line and line.endswith(" = 3") for line in lines)
    assert any('"missing"' in line and line.endswith(" = ENOENT (No such file or directory)") for line in lines)
    assert "exit_group(1" in lines[-1]
