"""The settings: three places, one meaning, exact errors."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmfork import BootOptions, Limits, ServeOptions
from warmfork.config import ServeSettings, keys, load, to_toml
from warmfork.errors import ConfigError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that no configuration file is found by chance."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problem(flags: dict[str, Any] | None = None, environment: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(flags or {}, environment or {})
    return caught.value


def test_flags_before_variables_before_the_file(elsewhere: Path) -> None:
    (elsewhere / "named.toml").write_text('threads = 2\nwarmup = 2\nmax-files = 22\nallow-read = ["/a"]\n')
    settings = load({"threads": "4"}, {"WARMFORK_THREADS": "3", "WARMFORK_WARMUP": "3", "HOME": "/"}, "named.toml")
    assert (settings.threads, settings.warmup, settings.max_files) == (4, 3, 22)
    assert settings.allow_read == ("/a",)


def test_named_files_are_read_instead(elsewhere: Path) -> None:
    (elsewhere / "warmfork.toml").write_text("threads = 2\n")
    (elsewhere / "other.toml").write_text("warmup = 7\n")
    assert load({}, {}, "other.toml").threads == 1
    assert load({}, {"WARMFORK_CONFIG": "other.toml"}).warmup == 7


def told(flags: dict[str, Any], environment: dict[str, str], file: str | None = None) -> list[tuple[str, list[str]]]:
    """What `load` tells of a file."""
    files: list[tuple[str, list[str]]] = []
    load(flags, environment, file, lambda path, keys: files.append((path, keys)))
    return files


def test_a_file_that_nobody_named_is_told(elsewhere: Path) -> None:
    assert told({}, {}) == []
    (elsewhere / "warmfork.toml").write_text("threads = 2\nquiet = true\n")
    assert told({"threads": "3"}, {}) == [("warmfork.toml", ["threads", "quiet"])]
    assert told({"quiet": True}, {}) == told({}, {"WARMFORK_QUIET": "yes"}) == []
    assert told({}, {}, "warmfork.toml") == told({}, {"WARMFORK_CONFIG": "warmfork.toml"}) == []


@pytest.mark.parametrize(
    "line",
    [
        "allow-all = true",
        "allow-read = true",
        'allow-write = ["/a"]',
        'allow-env = ["A"]',
        "allow-net = true",
        'allow-connect = ["a:1"]',
        'allow-listen = [":1"]',
        'volume = ["/a:/b"]',
        'keep-connections = ["a:1"]',
    ],
)
def test_permissions_come_only_from_a_file_that_is_named(elsewhere: Path, line: str) -> None:
    (elsewhere / "warmfork.toml").write_text(line)
    key = line.split()[0]
    error = problem()
    assert str(error) == f"warmfork.toml: {key}: a file gives permissions only if it is named"
    assert "--config=warmfork.toml" in error.hint
    load({}, {}, "warmfork.toml")
    load({}, {"WARMFORK_CONFIG": "warmfork.toml"})


def test_permissions_of_flags_stand_before_those_of_a_file(elsewhere: Path) -> None:
    (elsewhere / "warmfork.toml").write_text('allow-all = false\nvolume = []\nallow-read = ["/a"]\n')
    assert load({"allow-read": "/b"}, {}).allow_read == ("/b",)
    assert load({}, {"WARMFORK_ALLOW_READ": "/c"}).allow_read == ("/c",)


def test_a_file_that_others_may_write_is_refused(elsewhere: Path) -> None:
    file = elsewhere / "warmfork.toml"
    file.write_text("threads = 2\n")
    file.chmod(0o646)
    for environment in ({}, {"WARMFORK_CONFIG": "warmfork.toml"}):
        error = problem(environment=environment)
        assert str(error) == "warmfork.toml: others may write the configuration file"
        assert error.hint == "chmod o-w warmfork.toml"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_file_of_others_is_refused(elsewhere: Path) -> None:
    file = elsewhere / "warmfork.toml"
    file.write_text("threads = 2\n")
    os.chown(file, 65534, 0)
    assert str(problem()) == "warmfork.toml: the configuration file belongs to another user"
    assert load({}, {}, "warmfork.toml").threads == 2
    os.chown(file, 0, 0)
    file.chmod(0o664)
    assert load({}, {}).threads == 2, "the group is the user's own"
    os.chown(file, 0, 65534)
    error = problem()
    assert (str(error), error.hint) == (
        "warmfork.toml: others may write the configuration file",
        "chmod go-w warmfork.toml",
    )


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("thread = 1", "warmfork.toml: thread: unknown key", "did you mean threads?"),
        ("zzz = 1", "warmfork.toml: zzz: unknown key", "--help"),
        ("[serve]\nthreads = 1", "warmfork.toml: serve: unknown key", ""),
        ("threads = 'x'", "warmfork.toml: threads: 'x' is not a whole number", ""),
        ("threads = -1", "warmfork.toml: threads: -1 is out of range: from 0 to 1024", ""),
        ("max-request-time = 'soon'", "warmfork.toml: max-request-time: 'soon' is not a time", ""),
        ("warmup-path = 'x'", "warmfork.toml: warmup-path: 'x' is not the path of a request", ""),
        ("keep-connections = [1]", "warmfork.toml: keep-connections: [1] is not a list of names", ""),
        ("max-memory = []", "warmfork.toml: max-memory: [] is not a size", ""),
        ("allow-read = 3", "warmfork.toml: allow-read: 3 is not a permission", ""),
        ("volume = ['a']", "warmfork.toml: volume: 'a' is not a volume", ""),
        ("env = ['=1']", "warmfork.toml: env: '=1' is not a variable", ""),
        ("platform = 'vm'", "warmfork.toml: platform: 'vm': input should be 'auto', 'process' or 'kvm'", ""),
        ("threads = ", "warmfork.toml: this is not TOML: ", ""),
    ],
)
def test_a_bad_file(elsewhere: Path, content: str, message: str, hint: str) -> None:
    (elsewhere / "warmfork.toml").write_text(content)
    error = problem()
    assert str(error).startswith(message)
    assert hint in error.hint


def test_an_unreadable_file(elsewhere: Path) -> None:
    (elsewhere / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for name, reason in [
        ("missing.toml", "missing.toml: there is no such configuration file"),
        (".", ".: cannot read the configuration file: Is a directory"),
        ("binary.toml", "binary.toml: cannot read the configuration file: it is not UTF-8 text"),
    ]:
        assert str(problem(environment={"WARMFORK_CONFIG": name})) == reason


def test_bad_variables_are_named() -> None:
    assert str(problem(environment={"WARMFORK_THREDS": "1"})) == "WARMFORK_THREDS: unknown environment variable"
    assert problem(environment={"WARMFORK_THREDS": "1"}).hint == "did you mean WARMFORK_THREADS?"
    assert str(problem(environment={"WARMFORK_MAX_MEMORY": "1Q"})).startswith("WARMFORK_MAX_MEMORY: '1Q' is not a size")


def test_bad_flags_are_named() -> None:
    assert str(problem({"max-stop-time": "x"})).startswith("--max-stop-time: 'x' is not a time")


def test_lists_in_variables() -> None:
    settings = load(
        {}, {"WARMFORK_VOLUME": "/a:/b,/c:/d:rw", "WARMFORK_ALLOW_NET": "a,b", "WARMFORK_ALLOW_READ": "true"}
    )
    assert settings.volume == ("/a:/b", "/c:/d:rw")
    assert (settings.allow_net, settings.allow_read) == (("a", "b"), True)


def test_what_env_sets_comes_after_what_is_allowed() -> None:
    settings = load({"allow-env": "A,B", "env": ["B=2", "C=x=y,z"]}, {})
    assert settings.environment({"A": "1", "B": "1", "D": "1"}) == [("A", "1"), ("B", "2"), ("C", "x=y,z")]


def test_options_of_the_python_api_are_settings() -> None:
    flags = {"max-memory": "1G", "max-files": "22", "warmup": "3", "keep-connections": ["a:1"], "max-stop-time": "2s"}
    settings = load(flags, {"WARMFORK_KEEP_CONNECTIONS": "b", "WARMFORK_MAX_THREADS": "7", "WARMFORK_EPHEMERAL": "no"})
    assert settings.limits() == Limits(memory="1G", files=22, threads=7)
    assert settings.boot_options() == BootOptions(warmup=3, keep_connections=["a:1"])
    assert settings.serve_options() == ServeOptions(ephemeral=False, max_stop_time=2.0)
    defaults = load({}, {})
    assert defaults.limits() == Limits()
    assert (defaults.boot_options(), defaults.serve_options()) == (BootOptions(), ServeOptions())


def test_every_default_is_valid() -> None:
    assert ServeSettings.model_validate(tomllib.loads(to_toml(ServeSettings()))) == ServeSettings()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "allow-read": st.booleans() | st.lists(st.text("/ab\"'\\\n\x7f\u00e9", min_size=1), min_size=1),
            "env": st.lists(st.text("ab=\"'\\\n\x7f\u00e9").map(lambda text: f"A={text}")),
            "max-request-memory": st.integers(0, 1 << 40),
            "max-request-time": st.floats(0, 1e6),
            "threads": st.integers(0, 1024),
            "ephemeral": st.booleans(),
        },
    )
)
def test_printed_settings_mean_the_same(values: dict[str, Any]) -> None:
    settings = load(values, {})
    printed = tomllib.loads(to_toml(settings))
    assert list(printed) == keys()
    assert ServeSettings.model_validate(printed) == settings
