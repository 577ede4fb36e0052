"""The kinds of servers that are served, and how to build and start them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

DEBIAN_PYTHON = "/usr/bin/python3"
SERVERS = Path(__file__).parent / "servers"
INSTALLED = Path(__file__).parents[2] / ".make"
"""Where scripts/packages.sh puts what Debian does not have, or does not have for tests."""


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


PHP_SERVES = ("-dffi.enable=1", "-dopcache.lockfile_path=/scratch", "-q", "-S", "127.0.0.1:0")
PUMA_SERVES = ("--workers=0", "--threads=1:4", "--bind=tcp://127.0.0.1:0", "--quiet")

KINDS = [
    Kind("http.server", "debian", "handlers.py", ("plain",)),
    Kind("http.server-threads", "debian", "handlers.py", ("threading",)),
    Kind("wsgiref", "debian", "wsgi.py", ("wsgiref",), keeps_alive=False),
    Kind("python-blocking", "debian", "selecting.py", ("blocking",)),
    Kind("python-forking", "debian", "selecting.py", ("forking",)),
    Kind("python-select", "debian", "selecting.py", ("select",)),
    Kind("python-poll", "debian", "selecting.py", ("poll",)),
    Kind("python-epoll", "debian", "selecting.py", ("epoll",)),
    Kind("waitress", "venv", "wsgi.py", ("waitress",)),
    Kind("flask", "venv", "flask_app.py"),
    Kind("django", "venv", "django_app.py"),
    Kind("uvicorn", "venv", "starlette_app.py"),
    Kind("fastapi", "venv", "fastapi_app.py"),
    Kind("aiohttp", "venv", "aiohttp_app.py"),
    Kind("musl-accept", "musl", "accept.c"),
    Kind("musl-epoll", "musl", "epoll.c"),
    Kind("musl-threads", "musl", "threads.c"),
    Kind("glibc-accept", "glibc", "accept.c"),
    Kind("glibc-epoll", "glibc", "epoll.c"),
    Kind("glibc-threads", "glibc", "threads.c"),
    Kind("rust", "rust", "server.rs"),
    Kind("rust-static", "rust-static", "server.rs"),
    Kind("hyper-current-thread", "cargo", "hyper", ("current",)),
    Kind("hyper-multi-thread", "cargo", "hyper", ("multi",)),
    Kind("go", "go", "server.go"),
    Kind("node", "node", "javascript/node.mjs"),
    Kind("deno", "deno", "javascript/deno.mjs"),
    Kind("bun", "bun", "javascript/bun.mjs"),
    Kind("php", "php", "server.php", options=PHP_SERVES, keeps_alive=False),
    Kind("webrick", "ruby", "ruby/webrick.rb"),
    Kind("puma", "puma", "ruby/puma.ru", options=PUMA_SERVES),
    Kind("lua", "lua", "server.lua"),
    Kind("luajit", "luajit", "server.lua"),
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
    "node": ("node", "nodejs", ()),
    "php": ("php", "php-cli", ()),
    "puma": ("puma", "puma", ()),
    "ruby": ("ruby", "ruby", ()),
}
"""A command, the package that has it, and what it is always told first."""

ENVIRONMENT = ("TMPDIR=/scratch", "HOME=/scratch", "DENO_DIR=/scratch", "DENO_NO_UPDATE_CHECK=1")
"""Every server's environment: /scratch is a directory of the test's own, which it may write."""
