"""A guest program frozen at one of its system calls: the streams that it has, the directory that it is in, its forks.

Imported by the tests. What a program has written before the freeze and what a fork of it writes after make one output,
in each fork and after each reset; files are the host's, so the directory is put back before each turn.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from compiling import compiled
from guest_programs import ENVIRONMENT, Outcome, Program, difference
from timeouts import scaled

from warmfork import Fork, Machine, Policy

EVERYTHING = Policy(allow_read=True, allow_write=True, allow_env=True, allow_net=True)
PIPE_BYTES = 1 << 20
"""A program must be able to write all that it writes before anybody reads."""
TURN_SECONDS = scaled(10)
ENDLESS_TURN_SECONDS = scaled(1)
"""Of a program that is known to have no end in some turns."""
SHOWS_NAMES = re.compile(r"_nlink|inotify|/proc/self/(fd|maps)")
"""In the source of a program that shows how many names its files have, or whether they are gone."""


class Streams:
    """The standard streams of a machine and its forks: pipes, as a test of conformance has them."""

    def __init__(self, directory: Path, stdin: bytes) -> None:
        # Named, so that there can be a writer again when the last one has closed it.
        self._name = directory / "stdin"
        os.mkfifo(self._name)
        self._input = os.open(self._name, os.O_RDONLY | os.O_NONBLOCK)
        self._output, guest_output = os.pipe()
        self._errors, guest_errors = os.pipe()
        self.guest = (self._input, guest_output, guest_errors)
        for reader in (self._output, self._errors):
            os.set_blocking(reader, False)
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.offer(stdin)
        os.set_blocking(self._input, True)

    def offer(self, stdin: bytes) -> None:
        """Gives ``stdin`` the unread input, with nothing behind it."""
        writer = os.open(self._name, os.O_WRONLY)
        os.write(writer, stdin)
        os.close(writer)

    def rest(self) -> bytes:
        """Takes the unread input."""
        os.set_blocking(self._input, False)
        taken = _drain(self._input)
        os.set_blocking(self._input, True)
        return taken

    def take(self) -> tuple[bytes, bytes]:
        """The output since the last time."""
        return _drain(self._output), _drain(self._errors)

    def __enter__(self) -> Streams:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (*self.guest, self._output, self._errors):
            os.close(descriptor)


def _drain(descriptor: int) -> bytes:
    taken = b""
    try:
        while chunk := os.read(descriptor, PIPE_BYTES):
            taken += chunk
    except BlockingIOError:
        pass
    return taken


@dataclass(frozen=True)
class Entry:
    """A file as it was."""

    path: Path
    status: os.stat_result
    content: bytes

    @classmethod
    def of(cls, path: Path) -> Entry:
        """Looks at a file."""
        status = path.lstat()
        content = b""
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.fsencode(path.readlink())
        entry = cls(path, status, content)
        entry.set_times()  # for that was looking at it
        return entry

    def make(self) -> None:
        """Makes the file where there is none."""
        mode = self.status.st_mode
        if stat.S_ISDIR(mode):
            self.path.mkdir()
        elif stat.S_ISLNK(mode):
            self.path.symlink_to(os.fsdecode(self.content))
        elif stat.S_ISREG(mode):
            self.path.write_bytes(self.content)
        else:
            os.mknod(self.path, mode)

    def put_back(self) -> None:
        """Puts back the content, the mode and the times of the file, which is there."""
        mode = self.status.st_mode
        if stat.S_ISREG(mode) and self.path.read_bytes() != self.content:
            self.path.write_bytes(self.content)
        if not stat.S_ISLNK(mode):
            self.path.chmod(stat.S_IMODE(mode))
        self.set_times()

    def set_times(self) -> None:
        """Puts back the times of the file."""
        times = (self.status.st_atime_ns, self.status.st_mtime_ns)
        os.utime(self.path, ns=times, follow_symlinks=False)


class Kept:
    """A directory as it was when this was made. Its files stay the same files: a snapshot may have them open.

    So each has one more name, in ``names``, lest it is gone when a program unlinks it; unless that is ``None``, for
    programs that show how many names a file has.
    """

    def __init__(self, directory: Path, names: Path | None) -> None:
        self._directory = directory
        self._entries = [Entry.of(path) for path in _walk(directory)]
        self._names: dict[int, Path] = {}
        if names is not None:
            names.mkdir()
            for entry in self._entries:
                inode = entry.status.st_ino
                if not stat.S_ISDIR(entry.status.st_mode) and inode not in self._names:
                    self._names[inode] = names / str(inode)
                    os.link(entry.path, self._names[inode], follow_symlinks=False)

    def put_back(self) -> None:
        """Puts the directory back."""
        known = {entry.path: entry.status for entry in self._entries}
        for path in _walk(self._directory):
            if path in known and _same(path.lstat(), known[path]):
                continue
            if not path.is_symlink() and path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        made = dict(self._names)
        for entry in self._entries:
            if os.path.lexists(entry.path):
                made.setdefault(entry.status.st_ino, entry.path)
        for entry in self._entries:
            if os.path.lexists(entry.path):
                continue
            if (other := made.get(entry.status.st_ino)) is not None:
                os.link(other, entry.path, follow_symlinks=False)
            else:
                entry.make()
                made[entry.status.st_ino] = entry.path
        for entry in reversed(self._entries):
            entry.put_back()


def _walk(directory: Path) -> list[Path]:
    """Everything below it, a directory before its entries."""
    found = []
    for path in sorted(directory.iterdir()):
        found.append(path)
        if not path.is_symlink() and path.is_dir():
            found += _walk(path)
    return found


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino, stat.S_IFMT(one.st_mode)) == (
        other.st_dev,
        other.st_ino,
        stat.S_IFMT(other.st_mode),
    )


class Frozen:
    """Runs a program on a platform, in a directory of its own, up to one of its calls."""

    def __init__(self, program: Program, platform: str, scratch: Path, turn_seconds: float = TURN_SECONDS) -> None:
        self.program = program
        self.turn_seconds = turn_seconds
        self.platform = platform
        self.scratch = scratch
        scratch.mkdir()

    def _machine(self, streams: Streams) -> Machine:
        directory = self.scratch / "directory"
        directory.mkdir()
        argv = [str(compiled(self.program.source)), *self.program.arguments]
        return Machine(
            argv,
            policy=EVERYTHING,
            env=ENVIRONMENT,
            cwd=directory,
            stdio=streams.guest,
            platform=self.platform,
        )

    def calls(self) -> int:
        """How many system calls it makes."""
        with Streams(self.scratch, self.program.stdin) as streams, self._machine(streams) as machine:
            machine.run(TURN_SECONDS)
            return machine.statistics()["syscalls"]

    def turns(self, call: int) -> Iterator[tuple[str, Outcome]]:
        """Freezes it at its ``call``th call, and lets a fork run to the end, twice; how that went."""
        with Streams(self.scratch, self.program.stdin) as streams, self._machine(streams) as machine:
            ended = machine._native.run_to_call(call, TURN_SECONDS)
            before = streams.take()
            if ended is not None:
                return  # threads have taken other turns than when calls were counted
            rest = streams.rest()
            snapshot = machine.freeze()
            shows_names = SHOWS_NAMES.search(self.program.source.read_text())
            kept = Kept(self.scratch / "directory", None if shows_names else self.scratch / "names")
            with snapshot.fork() as fork:
                for turn in ("fork", "reset"):
                    if turn == "reset":
                        kept.put_back()
                        turn = f"reset ({fork.reset()})"
                        if differences := fork.differences():
                            yield turn, Outcome("differs", "", "\n".join(differences) + "\n")
                            return
                    streams.offer(rest)
                    status = _status(fork, self.turn_seconds)
                    output, errors = (one + more for one, more in zip(before, streams.take(), strict=True))
                    streams.rest()
                    yield turn, Outcome(status, output.decode(errors="replace"), errors.decode(errors="replace"))


def _status(fork: Fork, seconds: float) -> int | str:
    outcome = fork.run(seconds)
    return f"no end within {seconds} s" if outcome.kind == "timeout" else outcome.exit_status


def spread(calls: int, most: int) -> list[int]:
    """At most ``most`` of the calls from the first to the last but one, evenly spread."""
    last = calls - 1
    if last <= most:
        return list(range(1, last + 1))
    return sorted({1 + (last - 1) * step // (most - 1) for step in range(most)})


def failures(
    program: Program,
    platform: str,
    expected: Outcome,
    points: Callable[[int], int],
    scratch: Path,
    turn_seconds: float = TURN_SECONDS,
) -> list[str]:
    """Freezes a program at up to ``points(calls)`` of its calls; what went otherwise than natively."""
    calls = Frozen(program, platform, scratch / "counted").calls()
    found = []
    for call in spread(calls, points(calls)):
        frozen = Frozen(program, platform, scratch / str(call), turn_seconds)
        for turn, outcome in frozen.turns(call):
            if text := difference(expected, outcome):
                found.append(f"frozen at call {call} of {calls}, {turn}:\n{text}")
                break
        shutil.rmtree(frozen.scratch)
    return found
