"""The kinds of servers that are served, and how to build them."""

from __future__ import annotations

import os
from dataclasses import dataclass

DEBIAN_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class Kind:
    """A kind of server."""

    name: str
    """How tests call it."""
    program: str
    """`debian` or `venv` (Python), else how to build it: a key of `BUILDS`."""
    source: str
    """File in servers/."""
    arguments: tuple[str, ...] = ()
    keeps_alive: bool = True
    """Whether a connection takes more than one request."""


KINDS = [
    Kind("http.server", "debian", "handlers.py", ("plain",)),
    Kind("http.server-threads", "debian", "handlers.py", ("threading",)),
    Kind("wsgiref", "debian", "wsgi.py", ("wsgiref",), keeps_alive=False),
    Kind("python-blocking", "debian", "selecting.py", ("blocking",)),
    Kind("python-select", "debian", "selecting.py", ("select",)),
    Kind("python-poll", "debian", "selecting.py", ("poll",)),
    Kind("python-epoll", "debian", "selecting.py", ("epoll",)),
    Kind("waitress", "venv", "wsgi.py", ("waitress",)),
    Kind("flask", "venv", "flask_app.py"),
    Kind("uvicorn", "venv", "starlette_app.py"),
    Kind("aiohttp", "venv", "aiohttp_app.py"),
    Kind("musl-accept", "musl", "accept.c"),
    Kind("musl-epoll", "musl", "epoll.c"),
    Kind("musl-threads", "musl", "threads.c"),
    Kind("glibc-accept", "glibc", "accept.c"),
    Kind("glibc-epoll", "glibc", "epoll.c"),
    Kind("glibc-threads", "glibc", "threads.c"),
    Kind("rust", "rust", "server.rs"),
    Kind("rust-static", "rust-static", "server.rs"),
    Kind("go", "go", "server.go"),
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
