"""What docs/compatibility.md tells of: each program that tests run unmodified, what it is, and its version here.

Imported by tests/compatibility.py where results are recorded, and by scripts/compatibility.py.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server_kinds import BUILDS, DEBIAN_PYTHON, INTERPRETERS, KINDS, NGINX, SERVERS, Kind
from test_refused import CASES as REFUSED

NUMBER = re.compile(r"\d+\.\d+[\w.]*")
VERSION_OPTIONS = {"lua": ("-v",), "luajit": ("-v",), "go": ("version",)}
LANGUAGES = {
    "debian": "Python",
    "venv": "Python",
    "musl": "gcc",
    "glibc": "gcc",
    "rust": "rustc",
    "rust-static": "rustc",
    "cargo": "rustc",
    "go": "Go",
    "puma": "Puma",
    "ruby": "Ruby",
    "node": "Node.js",
    "php": "PHP",
    "lua": "Lua",
    "luajit": "LuaJIT",
    "bun": "Bun",
    "deno": "Deno",
    "lune": "Lune",
}


@dataclass(frozen=True)
class Subject:
    """A program, or a kind of them."""

    about: str
    version: Callable[[], str]
    kind: str = "runs"
    """`serves`, `asks` backends, `runs`, or `refused`: what does not work."""


def said(*command: str) -> str:
    """The version that a program tells; nothing where it is missing."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = NUMBER.search(done.stdout + done.stderr)
    return found[0] if found else ""


def of_package(name: str) -> Callable[[], str]:
    """The version of a Debian package, without Debian's own part."""

    def version() -> str:
        done = subprocess.run(["dpkg-query", "-Wf", "${Version}", name], capture_output=True, text=True, check=False)
        return re.sub(r"^\d+:|[-+~].*$", "", done.stdout) or said(name, "--version")

    return version


def of_program(program: str, packages: Sequence[str] = ()) -> Callable[[], str]:
    """The versions of what starts or builds a kind of server, and of what it is made with."""

    def version() -> str:
        if program == "debian":
            own = said(DEBIAN_PYTHON, "--version")
        elif program == "venv":
            own = platform.python_version()
        elif program == "cargo":
            own = said("rustc", "--version")
        else:
            command = (INTERPRETERS | BUILDS)[program][0]
            own = said(command, *VERSION_OPTIONS.get(program, ("--version",)))
        parts = [f"{LANGUAGES[program]} {own}"]
        crates = tomllib.loads((SERVERS / "hyper" / "Cargo.lock").read_text())["package"] if program == "cargo" else []
        versions = {crate["name"]: crate["version"] for crate in crates}
        parts += [f"{name} {versions.get(name) or importlib.metadata.version(name)}" for name in packages]
        return ", ".join(parts)

    return version


def of_kind(kind: Kind) -> Subject:
    """A kind of server."""
    return Subject(kind.about, of_program(kind.program, kind.packages), "serves")


def client(name: str, about: str, *packages: str) -> tuple[str, Subject]:
    """A client of backends, and the Python packages that it is."""
    return name, Subject(about, of_program("venv", packages), "asks")


def tool(name: str, about: str) -> tuple[str, Subject]:
    """A Debian package whose programs run as natively."""
    return name, Subject(about, of_package(name))


SUBJECTS: dict[str, Subject] = {
    **{kind.name: of_kind(kind) for kind in KINDS},
    **{f"refused: {name}": Subject(case[0], lambda: "", "refused") for name, case in REFUSED.items()},
    "nginx": Subject("nginx in one process, static files", lambda: f"nginx {said(NGINX, '-v')}", "serves"),
    "redis": Subject("Redis", lambda: f"Redis {said('redis-cli', '--version')}", "serves"),
    **dict(
        [
            client("asyncpg", "asyncpg's pool, PostgreSQL", "asyncpg"),
            client("psycopg", "psycopg's pool, PostgreSQL", "psycopg", "psycopg-pool"),
            client("pymemcache", "pymemcache's pool, memcached", "pymemcache"),
            client("redis-py", "redis-py's pool and pipelines, Redis over TCP and over a Unix socket", "redis"),
            ("go-http", Subject("Go's net/http, HTTP", of_program("go"), "asks")),
            (
                "node-agent",
                Subject("Node's http with an agent that keeps connections, HTTP", of_program("node"), "asks"),
            ),
            ("node-fetch", Subject("Node's fetch, HTTP", of_program("node"), "asks")),
            client("requests", "requests' sessions, HTTPS", "requests", "urllib3"),
            client("sqlalchemy", "SQLAlchemy's pool, MariaDB", "sqlalchemy", "pymysql"),
        ]
    ),
    "warmfork serve": Subject("every flag of `warmfork serve`, on CPython", of_program("debian"), "serves"),
    "bun program": Subject("Bun: workers, sockets, SQLite, files, WebAssembly", of_program("bun")),
    "deno program": Subject("Deno: workers, sockets, cryptography, files, WebAssembly", of_program("deno")),
    "go program": Subject("Go: goroutines, collections, processes, sockets, signals", of_program("go")),
    "lua program": Subject("Lua", of_program("lua")),
    "luajit program": Subject("LuaJIT, with its FFI and compiled traces", of_program("luajit")),
    "node program": Subject("Node.js: workers, sockets, cryptography, files, WebAssembly", of_program("node")),
    "php program": Subject("PHP with its JIT compiler", of_program("php")),
    "ruby program": Subject("Ruby: threads, fibers, processes, signals", of_program("ruby")),
    "venv program": Subject("numpy", of_program("venv", ["numpy"])),
    "cpython tests": Subject("CPython's own regression tests, a run for each module", of_program("debian")),
    "python": Subject("CPython: files, formats, signals, sockets, threads, asyncio, processes", of_program("debian")),
    **dict(
        [
            tool("bash", "bash: scripts, pipelines, jobs, coprocesses"),
            tool("busybox-static", "busybox, static: its shell with pipelines, and applets"),
            tool("coreutils", "coreutils"),
            tool("curl", "curl to a local server"),
            tool("dash", "dash: scripts and pipelines"),
            tool("diffutils", "diff, cmp"),
            tool("findutils", "find, xargs"),
            tool("gcc", "gcc: compiles and links, static, shared, with threads and link-time optimization"),
            tool("git", "git: commits, merges, rebases, clones, packs, bisects"),
            tool("grep", "grep"),
            tool("gzip", "gzip"),
            tool("make", "make, with several jobs of gcc"),
            tool("mawk", "mawk"),
            tool("npm", "npm on Node.js"),
            tool("openssl", "openssl"),
            tool("perl-base", "Perl"),
            tool("sed", "sed"),
            tool("sqlite3", "sqlite3: transactions, locks between processes, write-ahead log"),
            tool("tar", "tar, with compressors"),
            tool("xz-utils", "xz, with threads"),
        ]
    ),
}
