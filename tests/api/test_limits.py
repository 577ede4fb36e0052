"""Limits and options: each value is checked, and each default is in one place."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from warmfork import BootOptions, ConfigError, Limits, Machine, Policy, ServeOptions

THREADS_MAX = "/proc/sys/kernel/threads-max"


def test_values_are_kept_in_one_form() -> None:
    limits = Limits(memory="1G", files="16")
    assert (limits.memory, limits.files, limits.threads) == (1 << 30, 16, Limits.threads)
    assert limits == Limits(memory=1 << 30, files=16) != Limits()
    assert pickle.loads(pickle.dumps(limits)) == dataclasses.replace(Limits(), memory="1G", files=16) == limits
    assert ServeOptions(max_request_time="500ms").max_request_time == 0.5
    assert BootOptions(keep_connections="a:1,b").keep_connections == ("a:1", "b")


def test_values_stay() -> None:
    limits = Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.memory = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        (Limits, {"memory": "much"}, "memory: 'much' is not a size"),
        (Limits, {"address_space": -1}, "address_space: -1 is out of range"),
        (Limits, {"files": 3}, "files: 3 is out of range: from 4 to 1048576"),
        (Limits, {"threads": 0}, "threads: 0 is out of range: from 1 to 65536"),
        (Limits, {"processes": 2.0}, "processes: 2.0 is not a whole number"),
        (BootOptions, {"warmup_path": "/a b"}, "warmup_path: '/a b' is not the path of a request"),
        (BootOptions, {"keep_connections": 1}, "keep_connections: 1 is not a list of names"),
        (ServeOptions, {"max_request_time": None}, "max_request_time: None is not a time"),
        (ServeOptions, {"threads": 1025}, "threads: 1025 is out of range: from 0 to 1024"),
    ],
)
def test_bad_values_are_named(options: type[Any], value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(**value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("limits", [None, Limits(threads=7)])
def test_a_machine_has_its_limits(limits: Limits | None) -> None:
    with Machine(["/bin/cat", THREADS_MAX], policy=Policy(allow_read=True), limits=limits) as machine:
        machine.run()
        assert machine.output() == (f"{(limits or Limits()).threads}\n".encode(), b"")
