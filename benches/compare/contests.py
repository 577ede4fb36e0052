"""The contests, each a program served in several ways: a Hello on several runtimes, pages that React renders."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import which

from benches.compare.machine import ROOT
from benches.compare.servers import PYTHON, in_warmfork
from warmfork import _core

SOURCES = Path(__file__).parent
NPM = ROOT / ".make" / "npm" / "node_modules"
DENO = NPM / "@deno" / "linux-x64-glibc" / "deno"
HELLO, PAGE = "Hello", "A page by React"
"""Kinds of apps."""
BUILT = ROOT / ".make" / "bench"

# A JIT compiler is warm after some thousand requests; natively it has had so many halfway through what is measured.
# There it also collects garbage, now and then: see --freeze-points.
WARM_UP = ("--warmup=4000", "--freeze-points=16", "--env=NODE_ENV=production", "--env=DENO_NO_UPDATE_CHECK=1")


@dataclass(frozen=True)
class Contest:
    """An app, and the ways to serve it: each takes a port and is a command."""

    app: str
    contestants: dict[str, Callable[[int], list[str]]]


def platforms() -> list[str]:
    """The platforms that work here."""
    facts = {fact["name"]: fact["good"] for fact in _core.doctor()["facts"]}
    return [name for name in ("process", "kvm") if facts[f"{name} platform"]]


def isolated(command: Sequence[str], *options: str) -> Callable[[int], list[str]]:
    """Serves in warmfork."""
    return lambda port: in_warmfork([*command, str(port)], *options)


def contest(app: str, command: Sequence[str], chosen: Sequence[str], *options: str) -> Contest:
    """Natively, and in warmfork on each platform."""
    native = {"native": lambda port: ["env", "NODE_ENV=production", *command, str(port)]}
    warm = {f"warmfork {platform}": isolated(command, f"--platform={platform}", *options) for platform in chosen}
    return Contest(app, native | warm)


def python(chosen: Sequence[str]) -> Contest:
    """The smallest wsgiref server, which can fork for each connection itself; and what resetting costs."""
    command = [PYTHON, str(SOURCES / "hello" / "wsgi.py")]
    plain = contest("Hello by wsgiref", command, chosen).contestants
    forking = {"fork per connection": lambda port: [*command, str(port), "fork"]}
    kept = {"warmfork process, not reset": isolated(command, "--platform=process", "--no-ephemeral")}
    return Contest("Hello by wsgiref", {"native": plain.pop("native"), **forking, **plain, **kept})


def javascript(kind: str, runtime: str, chosen: Sequence[str]) -> Contest | None:
    """A Hello or a page by React on Node or Deno, if that is here."""
    directory = "hello" if kind == HELLO else "pages"
    if kind == PAGE and not (NPM / "react-dom").exists():
        return None
    if runtime == "Node" and (node := which("node")):
        command = [node, str(SOURCES / directory / "node.mjs")]
    elif runtime == "Deno" and DENO.exists():
        command = [str(DENO), "run", "--allow-all", "--no-remote", "--quiet", str(SOURCES / directory / "deno.mjs")]
    else:
        return None
    return contest(f"{kind} on {runtime}", command, chosen, *WARM_UP)


def go(chosen: Sequence[str]) -> Contest | None:
    """A Hello by Go's own server, if there is a compiler.

    Raises:
        subprocess.CalledProcessError: It can't be compiled.
    """
    compiler = which("go")
    if compiler is None:
        return None
    BUILT.mkdir(parents=True, exist_ok=True)
    source, binary = str(SOURCES / "hello" / "hello.go"), str(BUILT / "hello")
    environment = os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run([compiler, "build", "-o", binary, source], env=environment, check=True)
    return contest("Hello on Go", [binary], chosen)


CONTESTS: dict[str, dict[str, Callable[[Sequence[str]], Contest | None]]] = {
    HELLO: {
        "Python": python,
        "Node": partial(javascript, HELLO, "Node"),
        "Deno": partial(javascript, HELLO, "Deno"),
        "Go": go,
    },
    PAGE: {name: partial(javascript, PAGE, name) for name in ("Node", "Deno")},
}
"""What makes each contest, by kind of app and runtime; nothing where the runtime is missing."""
