"""Each dependency of the Rust crates has a licence and a source that deny.toml allows."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def rules(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "deny.toml").read_text())


def packages(repository: Path, target: str) -> list[dict[str, Any]]:
    """Everything that is compiled for the target, the project's own crates with it."""
    command = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={target}"]
    done = subprocess.run(command, cwd=repository, stdout=subprocess.PIPE, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)["packages"]
    return found


def is_allowed(expression: str, allowed: set[str]) -> bool:
    """Whether the allowed licences are enough for an SPDX expression; `/` is how OR was written once."""
    expression = expression.replace("/", " OR ")
    while inner := re.search(r"\(([^()]*)\)", expression):
        verdict = "allowed" if is_allowed(inner[1], allowed) else "refused"
        expression = expression.replace(inner[0], verdict)
    return any(
        all(term.strip() in allowed | {"allowed"} for term in choice.split(" AND "))
        for choice in expression.split(" OR ")
    )


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("MIT/Apache-2.0", True),
        ("(MIT OR GPL-2.0-only) AND Unicode-3.0", True),
        ("(MIT AND GPL-2.0-only) OR Unlicense", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("", False),
    ],
)
def test_expressions(rules: dict[str, Any], expression: str, verdict: bool) -> None:
    assert is_allowed(expression, set(rules["licenses"]["allow"])) == verdict


def test_licences_and_sources(repository: Path, rules: dict[str, Any]) -> None:
    (target,) = rules["graph"]["targets"]
    licences = set(rules["licenses"]["allow"])
    sources = {f"registry+{registry}" for registry in rules["sources"]["allow-registry"]}
    found = packages(repository, target)
    assert len(found) > 20
    refused = [
        (package["name"], package["license"], package["source"])
        for package in found
        if not is_allowed(package["license"] or "", licences) or package["source"] not in {None, *sources}
    ]
    assert refused == []
