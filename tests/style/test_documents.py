"""Documents: links lead somewhere, generated pages are current, promises are held by something, stubs are true."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
TESTS = re.compile(r"^benches/|^tests/|^crates/\w+/(tests|benches)/|/tests\.rs$")
SPAN = re.compile(r"`([^`\n]+)`")
DEFINED = r"\b(?:fn|struct|enum|trait|type|const|static)\s+{}\b"
DOCUMENTS = ["README.md", "SPECIFICATION.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]


def documents(repository: Path) -> list[Path]:
    return [repository / name for name in DOCUMENTS] + sorted((repository / "docs").rglob("*.md"))


def anchors(text: str) -> set[str]:
    """The anchors that headings make on GitHub."""
    headings = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(repository: Path) -> None:
    broken = []
    for document in documents(repository):
        for target in LINK.findall(CODE.sub("", document.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = document.parent / path if path else document
            if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
                broken.append(f"{document.relative_to(repository)}: {target}")
    assert not broken


def test_the_walk_names_what_is_there(repository: Path) -> None:
    text = (repository / "docs/architecture.md").read_text()
    walk = text.partition("## A newcomer's walk\n")[2].partition("\n## ")[0]
    steps = re.split(r"^\d+\. ", walk, flags=re.MULTILINE)[1:]
    assert len(steps) > 20
    wrong = []
    for step in steps:
        source, name = None, ""
        for span in SPAN.findall(step):
            if span.endswith(".rs"):
                name, file = span, repository / "crates" / span
                source = file.read_text() if file.is_file() else ""
            if source is None or (name != span and not re.search(DEFINED.format(re.escape(span)), source)):
                wrong.append(f"{name}: {span}")
            elif not source:
                wrong.append(name)
    assert not wrong


def test_the_architecture_names_files_that_are_there(repository: Path) -> None:
    text = (repository / "docs/architecture.md").read_text()
    files = {file.relative_to(repository).as_posix() for file in repository.glob("crates/**/*.rs")}
    named = {span for span in SPAN.findall(text) if re.fullmatch(r"[\w/]+\.rs", span)}
    assert named
    assert [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)] == []


def test_generated_documents_are_current(repository: Path) -> None:
    script = repository / "scripts" / "generate_docs.py"
    spec = importlib.util.spec_from_file_location("generate_docs", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [file.name for file, text in module.generate().items() if not file.exists() or file.read_text() != text]
    assert not stale, "run: make docs"


def test_every_promise_names_what_holds_it(repository: Path) -> None:
    rows = [line for line in (repository / "SPECIFICATION.md").read_text().splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| promise", "| ---"))]
    assert promises
    held_by = {row: LINK.findall(row.split(" | ")[-1]) for row in promises}
    assert [row for row, links in held_by.items() if not links or not all(map(TESTS.search, links))] == []


def test_the_changelog_knows_this_version(repository: Path) -> None:
    version = tomllib.loads((repository / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert f"## {version}" in (repository / "CHANGELOG.md").read_text()


@pytest.mark.timeout(300)
def test_the_stub_is_true_to_the_module(repository: Path) -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "warmfork._core"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
