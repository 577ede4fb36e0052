"""``warmfork run`` on a terminal: its keys are the program's, and a shell has job control."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from timeouts import scaled

PROMPT = b"prompt> "
READ = ("--allow-read", "--allow-write")


class Screen:
    """A terminal with ``warmfork run`` on it."""

    def __init__(self, command: list[str | Path], environment: dict[str, str]) -> None:
        self.leader, follower = pty.openpty()
        terminal = ["setsid", "--ctty", *command]
        self.process = subprocess.Popen(terminal, stdin=follower, stdout=follower, stderr=follower, env=environment)
        os.close(follower)

    def until(self, text: bytes) -> bytes:
        """What is shown until ``text`` is the end of it, or until the program has ended."""
        seen = b""
        while not seen.endswith(text):
            ready, _, _ = select.select([self.leader], [], [], scaled(30.0))
            assert ready, seen
            try:
                seen += os.read(self.leader, 10000)
            except OSError:
                break
        return seen

    def type(self, text: bytes) -> None:
        """Types."""
        os.write(self.leader, text)

    def end(self) -> int:
        """The exit code, when it has ended."""
        return self.process.wait(scaled(30.0))

    def close(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()
        os.close(self.leader)


@pytest.fixture
def screen(warmfork_command: Path, environment: dict[str, str]) -> Iterator[Callable[..., Screen]]:
    """Runs a program on a new terminal."""
    screens: list[Screen] = []

    def start(*command: str) -> Screen:
        variables = environment | {"PS1": PROMPT.decode(), "TERM": "dumb", "HISTFILE": ""}
        run = [warmfork_command, "run", "--quiet", "--allow-env=PS1,TERM,HISTFILE,PATH", *READ, "--"]
        screens.append(Screen([*run, *command], variables))
        return screens[-1]

    yield start
    for started in screens:
        started.close()


def test_keys_and_the_size_of_the_window_are_the_programs(
    screen: Callable[..., Screen], tool: Callable[[str, str], str]
) -> None:
    code = """
import os, signal
keys = {signal.SIGINT, signal.SIGWINCH}
signal.pthread_sigmask(signal.SIG_BLOCK, keys)
print("ready", flush=True)
while signal.sigwait(keys) == signal.SIGWINCH:
    print(os.get_terminal_size(), flush=True)
print("caught", flush=True)
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, keys)
signal.pause()
"""
    shown = screen(tool("/usr/bin/python3", "python3"), "-c", code)
    assert shown.until(b"ready\r\n") == b"ready\r\n"
    fcntl.ioctl(shown.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 40, 0, 0))
    assert shown.until(b"\r\n") == b"os.terminal_size(columns=40, lines=30)\r\n"
    shown.type(b"\x03")
    assert shown.until(b"caught\r\n") == b"^Ccaught\r\n"
    shown.type(b"\x03")
    assert shown.end() == 128 + signal.SIGINT


def test_suspending_the_program_stops_warmfork(screen: Callable[..., Screen]) -> None:
    shown = screen("cat")
    shown.type(b"first\n")
    shown.until(b"first\r\nfirst\r\n")
    shown.type(b"\x1a")
    _, status = os.waitpid(shown.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    shown.process.send_signal(signal.SIGCONT)
    shown.type(b"second\n")
    assert shown.until(b"second\r\nsecond\r\n").endswith(b"second\r\nsecond\r\n")
    shown.type(b"\x04")
    assert shown.end() == 0


def test_a_shell_has_job_control(screen: Callable[..., Screen]) -> None:
    shown = screen("bash", "--norc", "--noprofile", "--noediting", "-i")
    assert shown.until(PROMPT) == PROMPT
    shown.type(b"cat\n")
    shown.until(b"cat\r\n")
    shown.type(b"text\n")
    shown.until(b"text\r\ntext\r\n")
    shown.type(b"\x1a")
    assert shown.until(PROMPT) == b"^Z\r\n[1]+  Stopped                 cat\r\n" + PROMPT
    shown.type(b"fg\n")
    shown.until(b"fg\r\ncat\r\n")
    shown.type(b"again\n")
    shown.until(b"again\r\nagain\r\n")
    shown.type(b"\x03")
    assert shown.until(PROMPT) == b"^C\r\n" + PROMPT
    shown.type(b"echo $?\n")
    assert shown.until(PROMPT) == b"echo $?\r\n130\r\n" + PROMPT
    shown.type(b"exit 3\n")
    assert shown.end() == 3
