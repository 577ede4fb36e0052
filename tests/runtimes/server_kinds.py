"""The kinds of servers that are served, and how to build and start them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEBIAN_PYTHON = "/usr/bin/python3"
SERVERS = Path(__file__).parent / "servers"
INSTALLED = Path(__file__).parents[2] / ".make"
"""Where scripts/packages.sh puts what Debian does not have, or does not have for tests."""
DEBIAN = INSTALLED / "debian" / "usr"
"""Servers, whose packages would start them."""
NGINX = str(DEBIAN / "sbin" / "nginx")


@dataclass(frozen=True)
class Kind:
    """A kind of server."""

    name: str
    """How tests call it."""
    program: str
    """`debian` or `venv` (Python), `cargo`, a key of `INTERPRETERS`, else how to build it: a key of `BUILDS`."""
    source: str
    """File (or crate) in servers/."""
    arguments: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """What the interpreter is told before the source."""
    keeps_alive: bool = True
    """Whether a connection takes more than one request."""
    ends: bool = False
    """Whether it ends a connection that is to be closed without having said so in its answer."""
    about: str = ""
    """What it is, for docs/compatibility.md."""
    packages: tuple[str, ...] = ()
    """What it is made with besides the program: Python packages, or crates. Their versions are told with its own."""


PHP_SERVES = ("-dffi.enable=1", "-dopcache.lockfile_path=/scratch", "-q", "-S", "127.0.0.1:0")
PUMA_SERVES = ("--workers=0", "--threads=1:4", "--bind=tcp://127.0.0.1:0", "--quiet")
PUMA_FORKS = ("--workers=2", "--threads=1:2", "--bind=tcp://127.0.0.1:0", "--quiet")

KINDS = [
    Kind("http.server", "debian", "handlers.py", ("plain",), about="CPython, http.server"),
    Kind("http.server-threads", "debian", "handlers.py", ("threading",), about="CPython, http.server, a thread each"),
    Kind("wsgiref", "debian", "wsgi.py", ("wsgiref",), keeps_alive=False, about="CPython, wsgiref"),
    Kind("python-blocking", "debian", "selecting.py", ("blocking",), about="CPython, blocking sockets"),
    Kind("python-forking", "debian", "selecting.py", ("forking",), about="CPython, workers forked ahead"),
    Kind("python-select", "debian", "selecting.py", ("select",), about="CPython, select"),
    Kind("python-poll", "debian", "selecting.py", ("poll",), about="CPython, poll"),
    Kind("python-epoll", "debian", "selecting.py", ("epoll",), about="CPython, epoll"),
    Kind("waitress", "venv", "wsgi.py", ("waitress",), about="Waitress", packages=("waitress",)),
    Kind("flask", "venv", "flask_app.py", about="Flask", packages=("flask", "werkzeug")),
    Kind("django", "venv", "django_app.py", about="Django", packages=("django",)),
    Kind("uvicorn", "venv", "starlette_app.py", about="Starlette on uvicorn", packages=("uvicorn", "starlette")),
    Kind(
        "fastapi",
        "venv",
        "fastapi_app.py",
        about="FastAPI, pydantic, numpy on uvicorn",
        packages=("fastapi", "pydantic", "numpy", "uvicorn"),
    ),
    Kind("aiohttp", "venv", "aiohttp_app.py", about="aiohttp", packages=("aiohttp",)),
    Kind("musl-accept", "musl", "accept.c", about="C, static with musl, accept in a loop"),
    Kind("musl-epoll", "musl", "epoll.c", about="C, static with musl, epoll"),
    Kind("musl-threads", "musl", "threads.c", about="C, static with musl, a thread each"),
    Kind("glibc-accept", "glibc", "accept.c", about="C, glibc, accept in a loop"),
    Kind("glibc-epoll", "glibc", "epoll.c", about="C, glibc, epoll"),
    Kind("glibc-threads", "glibc", "threads.c", about="C, glibc, a thread each"),
    Kind("rust", "rust", "server.rs", about="Rust, std, a thread each"),
    Kind("rust-static", "rust-static", "server.rs", about="Rust, std, static PIE"),
    Kind(
        "hyper-current-thread",
        "cargo",
        "hyper",
        ("current",),
        about="hyper on tokio, one thread",
        packages=("hyper", "tokio"),
    ),
    Kind(
        "hyper-multi-thread",
        "cargo",
        "hyper",
        ("multi",),
        about="hyper on tokio, its pool of threads",
        packages=("hyper", "tokio"),
    ),
    Kind("go", "go", "server.go", about="Go, net/http"),
    Kind("node", "node", "javascript/node.mjs", about="Node.js, http"),
    Kind("node-cluster", "node", "javascript/cluster.mjs", about="Node.js, cluster of two processes"),
    Kind("deno", "deno", "javascript/deno.mjs", about="Deno, Deno.serve"),
    Kind("bun", "bun", "javascript/bun.mjs", ends=True, about="Bun, Bun.serve"),
    Kind("php", "php", "server.php", options=PHP_SERVES, keeps_alive=False, ends=True, about="PHP, its own server"),
    Kind("webrick", "ruby", "ruby/webrick.rb", about="Ruby, WEBrick"),
    Kind("puma", "puma", "ruby/puma.ru", options=PUMA_SERVES, about="Ruby, Puma in one process"),
    Kind("puma-cluster", "puma", "ruby/puma.ru", options=PUMA_FORKS, about="Ruby, Puma in two processes"),
    Kind("lua", "lua", "server.lua", about="Lua, LuaSocket"),
    Kind("luajit", "luajit", "server.lua", about="LuaJIT, LuaSocket"),
    Kind("lune", "lune", "lune/server.luau", about="Lune (Luau), net.serve"),
]

C_FLAGS = ("-O1", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread")
BUILDS = {
    "musl": ("musl-gcc", "musl-tools", ("-static", *C_FLAGS)),
    "glibc": ("gcc", "gcc", C_FLAGS),
    "rust": ("rustc", "rustc", ("--edition=2021", "-O")),
    "rust-static": ("rustc", "rustc", ("--edition=2021", "-O", "-Ctarget-feature=+crt-static")),
    "go": ("go", "golang-go", ("build",)),
}

# What makes Go's programs static and lets one file be built by itself.
BUILD_ENVIRONMENT = dict(os.environ) | {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}

NPM = INSTALLED / "npm" / "node_modules"
INTERPRETERS = {
    "bun": (str(NPM / "@oven/bun-linux-x64/bin/bun"), "npm", ("run",)),
    "deno": (str(NPM / "@deno/linux-x64-glibc/deno"), "npm", ("run", "--allow-all", "--no-remote", "--quiet")),
    "lua": ("lua5.1", "lua5.1", ()),
    "luajit": ("luajit", "luajit", ()),
    "lune": (str(INSTALLED / "lune" / "bin" / "lune"), "lune", ("run",)),
    "node": ("node", "nodejs", ()),
    "php": ("php", "php-cli", ()),
    "puma": ("puma", "puma", ()),
    "ruby": ("ruby", "ruby", ()),
}
"""A command, the package that has it, and what it is always told first."""

ENVIRONMENT = ("TMPDIR=/scratch", "HOME=/scratch", "DENO_DIR=/scratch", "DENO_NO_UPDATE_CHECK=1")
"""Every server's environment: /scratch is a directory of the test's own, which it may write."""
