"""Pages that React renders, on Node and on Deno: natively and in warmfork."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import which

from benches.compare.load import Load
from benches.compare.machine import ROOT
from benches.compare.servers import in_warmfork

SOURCES = Path(__file__).with_name("pages")
NPM = ROOT / ".make" / "npm" / "node_modules"
DENO = NPM / "@deno" / "linux-x64-glibc" / "deno"
BOUND = "process"
"""The platform that a promise is made for."""
OF_NATIVE = 1.25
"""There, the isolated p50 is at most so many times native's."""

# A JIT compiler is warm after some hundred requests, here as natively.
_WARM_UP = ("--warmup=500", "--env=NODE_ENV=production", "--env=DENO_NO_UPDATE_CHECK=1")

Contestants = dict[str, Callable[[int], list[str]]]


def runtimes() -> dict[str, list[str]]:
    """The commands that serve the page, but for the port: of those runtimes that are here."""
    commands = {}
    if (NPM / "react-dom").exists():
        if node := which("node"):
            commands["Node"] = [node, str(SOURCES / "node.mjs")]
        if DENO.exists():
            commands["Deno"] = [str(DENO), "run", "--allow-all", "--no-remote", "--quiet", str(SOURCES / "deno.mjs")]
    return commands


def contestants(command: list[str], platforms: list[str]) -> Contestants:
    """Ways to serve a page: natively, and in warmfork on each platform."""

    def isolated(platform: str) -> Callable[[int], list[str]]:
        return lambda port: in_warmfork([*command, str(port)], f"--platform={platform}", *_WARM_UP)

    ways: Contestants = {"native": lambda port: ["env", "NODE_ENV=production", *command, str(port)]}
    return ways | {f"warmfork {platform}": isolated(platform) for platform in platforms}


def check(name: str, loads: dict[str, Load]) -> tuple[str, float, str, bool]:
    """What is promised of a page, of the promised platform: what, how much, the bound, whether it holds."""
    isolated = loads[f"warmfork {BOUND}"].p50 / loads["native"].p50
    return (
        f"p50 of a page on {name}, times native without isolation",
        isolated,
        f"<= {OF_NATIVE:g}",
        isolated <= OF_NATIVE,
    )
