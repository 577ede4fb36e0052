"""Machines, snapshots and forks: the API of warmfork.

A story in order: a ``Machine`` is a program that runs; ``freeze`` makes a ``Snapshot`` of it; a ``Fork`` of that
starts in microseconds and ``reset`` takes it back; ``serve`` gives every connection a fork of its own. A call in the
wrong order raises ``StateError``. Times are seconds, sizes bytes or text such as ``"128M"``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from warmfork import _core
from warmfork.errors import ProgramError
from warmfork.policy import Policy
from warmfork.program import find_program
from warmfork.units import parse_size

if TYPE_CHECKING:
    from warmfork.types import Area, OutcomeKind, Platform, ResetKind, ServerStatistics, SnapshotInfo, Thread

__all__ = ["Fork", "Machine", "Outcome", "Server", "Snapshot", "serve"]

if _core.DEBUG_BUILD:
    warnings.warn("this is a debug build of warmfork: many times slower than a release build", stacklevel=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of a guest ended.

    Attributes:
        kind: ``"exited"``, ``"signaled"`` (killed by one), ``"served"`` (its one connection), ``"timeout"``,
            ``"out_of_memory"`` or ``"interrupted"``.
        code: The exit code when it exited, the signal's number when it was signaled, else 0.
    """

    kind: OutcomeKind
    code: int

    @property
    def exit_status(self) -> int:
        """What a shell would show: the exit code or 128 plus the signal; 124 for a timeout, 137 out of memory."""
        status: dict[OutcomeKind, int] = {
            "exited": self.code,
            "signaled": 128 + self.code,
            "served": 0,
            "timeout": 124,
            "out_of_memory": 137,
            "interrupted": 130,
        }
        return status[self.kind]


class _Closing:
    """What Machine, Fork and Server share: ``with`` closes them."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Machine(_Closing):
    r"""One guest program: its memory, its threads, its files, within its policy.

    Args:
        argv: The program and its arguments. The program is looked up in ``PATH``.
        policy: What it may touch; by default nothing but itself and what its loader needs.
        env: Its environment, whole; by default those of this process's variables that the policy allows.
        cwd: Its working directory; by default this process's.
        stdio: Host file descriptors for its standard streams; ``None`` for an empty input and captured outputs, which
            ``output`` returns.
        platform: What runs it: ``"process"``, ``"kvm"``, or ``"auto"`` for the better one that works here.
        huge_pages: The host may back its memory with huge pages (madvise(2)), and that of its forks: for guests that
            use much memory at once. On kvm only; resets of forks that touch it here and there become dearer.
        max_memory: Bytes that it may map, reservations without access apart.
        max_address_space: Bytes that it may map, with reservations.
        max_files: File descriptors that it may have open.
        max_threads: Threads that it may have, all processes together.
        max_processes: Processes that it may have.

    Raises:
        ProgramError: The program is not there, or is nothing that can be loaded.
        PolicyError: The policy cannot be set up.
        PlatformError: The platform does not work on this host.

    Example:
        >>> with Machine(["/bin/echo", "hello"]) as machine:
        ...     machine.run(), machine.output()
        (Outcome(kind='exited', code=0), (b'hello\n', b''))
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        policy: Policy | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stdio: tuple[int, int, int] | None = None,
        platform: Platform = "auto",
        huge_pages: bool = False,
        max_memory: int | str = "8G",
        max_address_space: int | str = "128T",
        max_files: int = 1024,
        max_threads: int = 1024,
        max_processes: int = 64,
    ) -> None:
        if isinstance(argv, str | bytes) or not argv:
            raise ProgramError("argv must be a sequence: the program, then its arguments")
        program = find_program(argv[0])
        policy = policy or Policy()
        directory = Path(cwd or ".").absolute()
        if not policy.volumes and not directory.is_dir():
            raise ProgramError(f"{directory}: the working directory is not there")
        self._native = _core.Machine(
            [program, *argv[1:]],
            env=policy.environment(os.environ) if env is None else list(env.items()),
            cwd=os.fspath(directory),
            policy=policy.native(),
            limits={
                "memory_bytes": parse_size(max_memory),
                "address_space_bytes": parse_size(max_address_space),
                "files": max_files,
                "threads": max_threads,
                "processes": max_processes,
            },
            stdio=stdio,
            platform=platform,
            huge_pages=huge_pages,
        )

    def run(self, timeout: float | None = None) -> Outcome:
        """Runs the program to its end.

        Args:
            timeout: Seconds; ``None`` for no limit.

        Returns:
            How it ended. After ``"timeout"`` it can be run on.

        Raises:
            StateError: It ended before, is frozen or closed.
        """
        return _outcome(self._native.run(timeout))

    def boot(self, timeout: float | None = 20.0) -> list[str]:
        """Runs the program until it is ready: every thread blocked, one of them waiting on a listening socket.

        What it would do within two seconds, it does before: its clocks, but that of the day, are put ahead.

        Args:
            timeout: Seconds; ``None`` for no limit.

        Returns:
            The addresses that it listens on, such as ``["127.0.0.1:8000"]``.

        Raises:
            BootTimeout: It was not ready in time.
            GuestError: It exited or crashed first.
        """
        return self._native.boot(timeout)

    def warm_up(self, count: int, path: str = "/") -> None:
        """Makes HTTP requests through the listening socket, so that what they load is in the snapshot.

        Args:
            count: How many, one after the other.
            path: What to ask for.

        Raises:
            StateError: The machine is not booted.
            GuestError: It does not answer.
        """
        self._native.warm_up(count, path)

    def freeze(
        self,
        moments: int = 0,
        path: str = "/",
        *,
        keep_connections: Sequence[str] = (),
        refuse_connections: bool = False,
    ) -> Snapshot:
        """Makes a snapshot of the machine as it is, or at the best of some moments; the machine itself is over.

        A moment is when the program has accepted a connection of ours and waits for its first bytes: what it does until
        then, no fork has to do. Each has its own connection in the place of that one. It is possible where all that the
        program does meanwhile is the same whoever connects and whenever, and shows nobody; a program that asks who has
        connected, say, is frozen when it waits for a connection.

        A runtime that collects garbage does so every so many requests, and so does every fork of a program that was
        frozen just before that. Of several moments the one is taken whose forks answer soonest.

        Connections to other processes of the host end in each fork as if the peer had reset them, so that clients and
        pools connect again; ``info`` of the snapshot names them. Those between the program's own processes go on.

        Args:
            moments: How many to try, after a ``warm_up``; 0 freezes the machine as it is. From one to the next is one
                more warm-up request, and a fork of each is sent some.
            path: What those requests ask for.
            keep_connections: ``HOST:PORT`` of peers whose connections all forks share: what one fork leaves in such a
                connection, another gets.
            refuse_connections: Do not freeze a program that has other connections.

        Raises:
            StateError: It has not been started, or ended; it does not listen, with moments.
            GuestError: It does not answer, or has connections that are refused.
            PolicyError: ``keep_connections`` names a host that does not resolve.
        """
        return Snapshot(self._native.freeze(moments, path, list(keep_connections), refuse_connections))

    def output(self) -> tuple[bytes, bytes]:
        """What it wrote to captured standard output and error since the last call."""
        return self._native.output()

    def statistics(self) -> dict[str, int]:
        """Counters since the start: system calls, faults, and others by name."""
        return self._native.statistics()

    def interrupt(self) -> None:
        """Makes a ``run`` or ``boot`` in another thread return soon, as ``"interrupted"``."""
        self._native.interrupt()

    def press(self, signal: int) -> None:
        """Passes on a signal of a key (Ctrl-C, say) of the terminal that the program was started on.

        Its processes in the foreground get it. What would stop the program as a whole stops this process instead.

        Args:
            signal: Its number.
        """
        self._native.press(signal)

    def close(self) -> None:
        """Ends the guest and gives back what it holds. Can be called twice."""
        self._native.close()


class Snapshot:
    """A frozen machine: a memory image that forks share, and the state of everything else. Made by ``freeze``."""

    def __init__(self, native: _core.Snapshot) -> None:
        self._native = native

    def fork(self) -> Fork:
        """Makes a machine that goes on from the snapshot, with memory of its own.

        Raises:
            PlatformError: The host cannot give what it needs.
        """
        return Fork(self._native.fork())

    def info(self) -> SnapshotInfo:
        """What is in it: pages and bytes of its image, bytes mapped, areas, threads, fds, listening addresses."""
        return self._native.info()

    def serve(
        self,
        *,
        threads: int = 1,
        ephemeral: bool = True,
        max_request_time: float | None = 8.0,
        max_request_memory: int | str = "128M",
        limit_request_memory: int | str = "128M",
    ) -> Server:
        """Serves the snapshot's listening sockets; returns at once.

        Args:
            threads: Forks that serve side by side; 0 is one for each CPU.
            ephemeral: Whether each connection gets a pristine fork; otherwise forks keep their state.
            max_request_time: Seconds for a connection; ``None`` for no limit.
            max_request_memory: Bytes that a connection may touch; its fork is thrown away when it wants more. 0 is no
                limit.
            limit_request_memory: Above so many touched bytes, a reset drops pages instead of rewriting them.

        Raises:
            StateError: The snapshot does not listen.
            PlatformError: The host cannot give what the forks need.
        """
        return Server(
            self._native.serve(
                threads=threads or os.cpu_count() or 1,
                ephemeral=ephemeral,
                max_request_time=max_request_time or None,
                max_request_memory=parse_size(max_request_memory) or None,
                limit_request_memory=parse_size(limit_request_memory),
            )
        )


class Fork(_Closing):
    """A machine made from a snapshot. ``reset`` takes it back there, to the last byte.

    Example:
        >>> with snapshot.fork() as fork:
        ...     fork.write_memory(address, b"changed")
        ...     fork.reset(), fork.differences()
        ('rewritten', [])
    """

    def __init__(self, native: _core.Fork) -> None:
        self._native = native

    def run(self, timeout: float | None = None) -> Outcome:
        """Runs on from where it is, to its end; see ``Machine.run``."""
        return _outcome(self._native.run(timeout))

    def serve(self, connection: int, *, timeout: float | None = None, max_memory: int | str | None = None) -> Outcome:
        """Hands the guest one connection, as a server's worker does, and runs it until it has closed that.

        Args:
            connection: The descriptor of a connected stream socket, which stays the caller's to close. The guest
                accepts it from its first listening socket.
            timeout: Seconds; ``None`` for no limit.
            max_memory: Bytes that the guest may touch; ``None`` for no limit.

        Returns:
            ``"served"``, or why not.

        Raises:
            StateError: The snapshot does not listen; the fork has ended and was not reset.
        """
        limit = None if max_memory is None else parse_size(max_memory)
        return _outcome(self._native.serve(connection, timeout, limit))

    def reset(self) -> ResetKind:
        """Puts the snapshot's state back.

        Returns:
            ``"rewritten"`` when touched pages were written anew, ``"dropped"`` when there were too many for that;
            ``"rebuilt"`` when a process of the snapshot had ended or executed another program, or the host refused
            something, so that the fork was made anew.

        Raises:
            PlatformError: The host cannot give what a new fork needs; the fork can only be closed.
        """
        return self._native.reset()

    def read_memory(self, address: int, length: int) -> bytes:
        """Reads guest memory, whatever its protection.

        Raises:
            WarmforkError: Some of it is not mapped.
        """
        return self._native.read_memory(address, length)

    def write_memory(self, address: int, data: bytes) -> None:
        """Writes guest memory, as the guest itself could.

        Raises:
            WarmforkError: Some of it is not mapped, or not writable.
        """
        self._native.write_memory(address, data)

    def areas(self) -> list[Area]:
        """The guest's mappings, in address order."""
        return self._native.areas()

    def threads(self) -> list[Thread]:
        """The guest's threads, with everything that is in their registers."""
        return self._native.threads()

    def describe(self) -> str:
        """All that the emulated kernel holds for the guest, in words: for looking at; the form may change."""
        return self._native.describe()

    def differences(self) -> list[str]:
        """What differs from a new fork, one line each: pages, registers, fds, timers, mappings. Empty after reset."""
        return self._native.differences()

    def statistics(self) -> dict[str, int]:
        """Counters since the fork: system calls, faults, resets, and others by name."""
        return self._native.statistics()

    def output(self) -> tuple[bytes, bytes]:
        """What it wrote to captured standard output and error since the last call."""
        return self._native.output()

    def interrupt(self) -> None:
        """Makes a ``run`` in another thread return soon, as ``"interrupted"``."""
        self._native.interrupt()

    def close(self) -> None:
        """Ends the guest and gives back what it holds. Can be called twice."""
        self._native.close()


class Server(_Closing):
    """Workers that serve connections, each with a fork. Made by ``Snapshot.serve``; works in the background."""

    def __init__(self, native: _core.Server) -> None:
        self._native = native

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped.

        Args:
            timeout: Seconds; ``None`` for no limit.

        Returns:
            Whether it has stopped.
        """
        return self._native.wait(timeout)

    def statistics(self) -> ServerStatistics:
        """Counters since the start, and the latency histogram."""
        return self._native.statistics()

    def stop(self, grace: float = 10.0) -> None:
        """Stops: accepts nothing more, lets open connections finish, then ends the forks.

        Args:
            grace: Seconds that open connections get.
        """
        self._native.stop(grace)

    def close(self) -> None:
        """Stops at once."""
        self.stop(0.0)


def serve(
    argv: Sequence[str],
    *,
    policy: Policy | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    platform: Literal["auto", "process", "kvm"] = "auto",
    threads: int = 1,
    ephemeral: bool = True,
    warmup: int = 0,
    warmup_path: str = "/",
    moments: int = 1,
    keep_connections: Sequence[str] = (),
    refuse_connections: bool = False,
    max_boot_time: float | None = 20.0,
    max_request_time: float | None = 8.0,
    max_request_memory: int | str = "128M",
    limit_request_memory: int | str = "128M",
) -> Server:
    """Boots a server program, freezes it when it is ready and serves it: ``Machine`` to ``Server`` in one call.

    The program's own output goes to this process's standard streams. See ``Machine`` and ``Snapshot.serve`` for the
    arguments and the errors.

    Example:
        >>> policy = Policy(allow_read=True, allow_listen=":8000")
        >>> with serve(["python3", "app.py"], policy=policy, threads=2) as server:
        ...     server.wait()
    """
    with Machine(argv, policy=policy, env=env, cwd=cwd, stdio=(0, 1, 2), platform=platform) as machine:
        machine.boot(max_boot_time)
        if warmup:
            machine.warm_up(warmup, warmup_path)
        snapshot = machine.freeze(
            moments if warmup else 0,
            warmup_path,
            keep_connections=keep_connections,
            refuse_connections=refuse_connections,
        )
        return snapshot.serve(
            threads=threads,
            ephemeral=ephemeral,
            max_request_time=max_request_time,
            max_request_memory=max_request_memory,
            limit_request_memory=limit_request_memory,
        )


def _outcome(native: _core.Outcome) -> Outcome:
    """The native outcome as a value that compares."""
    return Outcome(native.kind, native.code)
