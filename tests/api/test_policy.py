"""Policies: what they accept, and what they tell the engine."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import warmfork.policy
from warmfork import Policy, PolicyError, Volume


def test_nothing_is_allowed_by_default() -> None:
    assert Policy().native() == {"read": [], "write": [], "connect": [], "listen": [], "volumes": []}
    assert Policy().environment({"HOME": "/root"}) == []


def test_allow_all_allows_everything() -> None:
    everything = Policy(allow_all=True)
    assert everything.native() == {"read": None, "write": None, "connect": None, "listen": None, "volumes": []}
    assert everything.environment({"HOME": "/root"}) == [("HOME", "/root")]


def test_paths_are_absolute_and_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    policy = Policy(allow_read="a,./b/../c,/d//e/", volumes=["data:/srv/./data:rw"])
    assert policy.native()["read"] == [f"{tmp_path}/a", f"{tmp_path}/c", "/d/e"]
    assert policy.native()["volumes"] == [(f"{tmp_path}/data", "/srv/data", True)]


def test_net_is_connect_and_listen() -> None:
    policy = Policy(allow_net=["one:1"], allow_connect=["two:2", "one:1"], allow_listen=":3")
    assert policy.native()["connect"] == ["one:1", "two:2"]
    assert policy.native()["listen"] == ["one:1", ":3"]
    assert Policy(allow_net=True, allow_listen=":3").native()["listen"] is None


def test_environment_names_and_prefixes() -> None:
    variables = {"PATH": "p", "APP_A": "1", "APP": "no", "MYAPP_A": "no", "APP_B": "2"}
    assert Policy(allow_env="PATH,APP_*").environment(variables) == [("PATH", "p"), ("APP_A", "1"), ("APP_B", "2")]
    assert len(Policy(allow_env="*").environment(variables)) == len(variables)


@pytest.mark.parametrize("grant", ["a,,b", ",", ["ok", ""], ["nul\0"], [1], 3, 2.5, None])
def test_malformed_permissions(grant: object) -> None:
    with pytest.raises(PolicyError, match=r"^allow_read: "):
        Policy(allow_read=grant)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["A*B", "A=B", "*A*"])
def test_malformed_environment_names(name: str) -> None:
    with pytest.raises(PolicyError, match=r"^allow_env: .* is not the name"):
        Policy(allow_env=[name])


@pytest.mark.parametrize("text", ["", ":", "a", "a:", ":/b", "a:b", "a:/b:wr", "a:/b:rw:rw", "a:/b\0"])
def test_malformed_volumes(text: str) -> None:
    with pytest.raises(PolicyError, match=r"^volumes: .* is not a volume"):
        Policy(volumes=[text])


def test_a_volume_writes_itself_as_it_is_read() -> None:
    for text in ("/a:/b", "/a:/b:rw"):
        assert str(Volume.parse(text)) == text
    assert Volume.parse("/a:/b:ro") == Volume("/a", "/b", writable=False)


def test_the_example_in_the_documentation() -> None:
    assert doctest.testmod(warmfork.policy).failed == 0
