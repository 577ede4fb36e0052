"""Forks a frozen program, changes its memory, and resets it.

.venv/bin/python examples/03_fork.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from warmfork import Machine, Policy

SERVER = "import socket; socket.create_server(('127.0.0.1', 0)).accept()"

python = str(Path(sys.executable).resolve())
with Machine([python, "-c", SERVER], policy=Policy(allow_read=True, allow_listen=True)) as machine:
    machine.boot()
    snapshot = machine.freeze()

with snapshot.fork() as fork, snapshot.fork() as other:
    heap = next(area for area in fork.areas() if area["name"] == "[heap]")
    fork.write_memory(heap["start"], b"changed")
    print("a difference:", fork.differences())
    print("in the other fork:", other.differences())
    print("reset:", fork.reset(), fork.differences())
