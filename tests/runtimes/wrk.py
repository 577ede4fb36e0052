"""wrk, told to look at each answer: for the tests that load a server."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from server_kinds import SERVERS
from serving import TIMEOUT, Served
from timeouts import SLOWNESS

SECONDS = max(1, round(SLOWNESS / 2))
"""wrk counts in seconds only. What comes in that time is checked, how much that is is not."""
SAID = re.compile(r"answers=(\d+) lost=(\d+) ended=(\d+) wrong=(\d+) ")


@dataclass(frozen=True)
class Load:
    """Loads a server whose answers are counts."""

    program: str

    def __call__(self, server: Served, path: str, way: str, connections: int, ends: bool = False) -> int:
        """Loads it for a moment, by `close` or `keep`; how many answers came. All were right and none was missing.

        Where the server ends a connection after an answer without having said so, wrk takes each such end for an error.
        """
        command = [self.program, f"-t{connections}", f"-c{connections}", f"-d{SECONDS}s", f"--timeout={TIMEOUT:.0f}s"]
        command += [f"--script={SERVERS / 'count.lua'}", f"http://127.0.0.1:{server.port}{path}", "--", way]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True)
        said = SAID.search(done.stdout)
        assert said, done.stdout + done.stderr
        answers, lost, ended, wrong = (int(number) for number in said.groups())
        assert (lost, wrong) == (0, 0) and ended <= (answers if ends else 0), f"{done.stdout}\n{server.said[-2000:]}"
        return answers
