"""How the command line reads its options. ``--print-config`` shows what came of them."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest


def settings(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return tomllib.loads(done.stdout)


@pytest.mark.parametrize(
    "flag", ["allow-read", "allow-write", "allow-env", "allow-net", "allow-connect", "allow-listen"]
)
def test_a_permission_may_stand_alone(warmfork: Any, flag: str) -> None:
    assert settings(warmfork("serve", "--print-config", f"--{flag}"))[flag] is True
    assert settings(warmfork("serve", "--print-config", f"--{flag}", "program", "--threads=9"))[flag] is True
    assert settings(warmfork("serve", "--print-config", f"--{flag}=a,b", "program"))[flag] == ["a", "b"]
    assert settings(warmfork("serve", "--print-config", "program", f"--{flag}"))[flag] is False


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["--threads", "3", "--allow-read", "p"], {"threads": 3, "allow-read": True}),
        (["-t", "3", "-w2", "--allow-read", "--", "p"], {"threads": 3, "warmup": 2, "allow-read": True}),
        (["-v", "--allow-read", "-t3", "p", "-t4"], {"verbose": True, "allow-read": True, "threads": 3}),
        (["--cwd", "--allow-read", "p"], {"cwd": "--allow-read"}),
        (["--no-ephemeral", "p", "--ephemeral"], {"ephemeral": False}),
        (["--volume", "/a:/b", "--volume=/c:/d:rw"], {"volume": ["/a:/b", "/c:/d:rw"]}),
        (["--env", "A=b,c", "--env", "B="], {"env": ["A=b,c", "B="]}),
        (
            ["--max-request-time=500ms", "--max-request-memory", "64M"],
            {"max-request-time": "0.5s", "max-request-memory": "64M"},
        ),
        (["--allow-all"], {"allow-all": True}),
        (["--", "--allow-all"], {}),
    ],
)
def test_options_end_where_the_program_begins(warmfork: Any, arguments: list[str], changed: dict[str, Any]) -> None:
    defaults = settings(warmfork("serve", "--print-config"))
    assert settings(warmfork("serve", "--print-config", *arguments)) == defaults | changed


def test_printed_settings_can_be_the_file(warmfork: Any, tmp_path: Path) -> None:
    printed = warmfork("serve", "--print-config", "--allow-read=/a,/b", "--max-boot-time=1m", "--env", 'Q="\\').stdout
    (tmp_path / "other.toml").write_text(printed)
    assert warmfork("serve", "--print-config", "--config", "other.toml").stdout == printed
    assert warmfork("serve", "--print-config", WARMFORK_CONFIG="other.toml").stdout == printed
    harmless = warmfork("serve", "--print-config", "--max-boot-time=1m").stdout
    (tmp_path / "warmfork.toml").write_text(harmless)
    assert warmfork("serve", "--print-config").stdout == harmless


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "error: there is no PROGRAM to run\nhint: options come before the program; --help lists them\n"),
        (
            [
                "serve",
                "--",
            ],
            "error: there is no PROGRAM to run\n",
        ),
        (["run", "--max-files=many", "p"], "error: --max-files: 'many' is not a whole number"),
        (["serve", "--max-request-time=8x", "p"], "error: --max-request-time: '8x' is not a time"),
        (["serve", "--config", "no.toml", "p"], "error: no.toml: there is no such configuration file\n"),
        (["run", "--allow-raed", "p"], "No such option: --allow-raed"),
        (["run", "--threads=2", "p"], "No such option: --threads"),
        (["nothing"], "No such command 'nothing'"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(warmfork: Any, arguments: list[str], message: str) -> None:
    done = warmfork(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr


def test_a_program_that_is_not_there_ends_with_127(warmfork: Any) -> None:
    done = warmfork("run", "no-such-program")
    assert (done.returncode, done.stderr) == (127, "error: no-such-program: not found in PATH\n")


def test_every_setting_is_in_the_help(warmfork: Any) -> None:
    text = warmfork("serve", "--help").stdout
    for key in settings(warmfork("serve", "--print-config")):
        assert f"--{key}" in text


def test_no_colour_where_none_is_wanted(warmfork: Any) -> None:
    assert "\033[" not in warmfork("run").stderr + warmfork("--help").stdout
