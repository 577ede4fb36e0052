"""``Machine``, with which the API of warmfork begins, and ``serve``, which takes all of its steps.

A story in order: a ``Machine`` is a program that runs; ``freeze`` makes a ``Snapshot`` of it; a ``Fork`` of that
starts in microseconds and ``reset`` takes it back; ``serve`` gives every connection a fork of its own. A call in the
wrong order raises ``StateError``. Times are seconds, sizes bytes or text such as ``"128M"``.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmfork import _core
from warmfork.closing import Closing
from warmfork.errors import ProgramError
from warmfork.options import BootOptions, Limits, ServeOptions
from warmfork.outcome import Outcome
from warmfork.policy import Policy
from warmfork.program import find_program
from warmfork.snapshot import Snapshot
from warmfork.types import DEFAULT_PLATFORM, Platform

if TYPE_CHECKING:
    from warmfork.server import Server

if _core.DEBUG_BUILD:
    warnings.warn("this is a debug build of warmfork: many times slower than a release build", stacklevel=2)


class Machine(Closing):
    r"""One guest program: its memory, its threads, its files, within its policy.

    Args:
        argv: The program and its arguments. The program is looked up in ``PATH``.
        policy: The files and addresses that it may touch; by default only itself and the files that its loader needs.
        env: Its environment, whole; by default those of this process's variables that the policy allows.
        cwd: Its working directory; by default this process's.
        stdio: Host file descriptors for its standard streams; ``None`` for an empty input and captured outputs, which
            ``output`` returns.
        platform: The platform: ``"process"``, ``"kvm"``, or ``"auto"`` for the better one that works here.
        huge_pages: The host may back its memory with huge pages (madvise(2)), and that of its forks: for guests that
            use much memory at once. On kvm only. A byte that a fork writes there makes two megabytes its own.
            The first resets rewrite them all, and the 8th compares them and gives back those that have not changed.
            That splits the huge page: not for guests that write here and there, or must answer soon.
        limits: How much it may use.

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
        platform: Platform = DEFAULT_PLATFORM,
        huge_pages: bool = False,
        limits: Limits | None = None,
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
            limits=limits or Limits(),
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
        return Outcome(*self._native.run(timeout))

    def boot(self, timeout: float | None = BootOptions.max_boot_time) -> list[str]:
        """Runs the program until it is ready: every thread blocked, one of them waiting on a listening socket.

        Work that is due within two seconds is done before that: the clocks, except the time of day, are put forward.

        Args:
            timeout: Seconds; ``None`` for no limit.

        Returns:
            The addresses that it listens on, such as ``["127.0.0.1:8000"]``.

        Raises:
            BootTimeout: It was not ready in time.
            GuestError: It exited or crashed first.
        """
        return self._native.boot(timeout)

    def warm_up(self, count: int, path: str = BootOptions.warmup_path) -> None:
        """Makes HTTP requests through the listening socket, so that everything they load is in the snapshot.

        Args:
            count: How many, one after the other.
            path: The path to ask for.

        Raises:
            StateError: The machine is not booted.
            GuestError: It does not answer.
        """
        self._native.warm_up(count, path)

    def freeze(
        self,
        freeze_points: int = 0,
        path: str = BootOptions.warmup_path,
        *,
        keep_connections: Sequence[str] = BootOptions.keep_connections,
        refuse_connections: bool = BootOptions.refuse_connections,
    ) -> Snapshot:
        """Makes a snapshot of the machine as it is, or at the best of some freeze points. The machine itself ends.

        At a freeze point the program has accepted a silent connection of ours and waits for its first bytes (early
        accept). No fork repeats that work: each fork gets its own connection in place of the silent one. This needs a
        program whose work until then is the same for every client at any time, and invisible from outside. A program
        that asks for the client's address, for example, is frozen while it waits for a connection instead.

        A runtime collects garbage once in so many requests. If it is frozen just before that, every fork collects
        garbage. Of several freeze points the one is taken whose forks answer soonest.

        Connections to other processes of the host end in each fork as if the peer had reset them, so that clients and
        pools connect again; ``info`` of the snapshot names them. Those between the program's own processes go on.

        Args:
            freeze_points: How many to try, after a ``warm_up``; 0 freezes the machine as it is. Each next point is one
                more warm-up request later. A fork of each is sent a few requests.
            path: The path that those requests ask for.
            keep_connections: ``HOST[:PORT]`` of peers whose connections all forks share: bytes that one fork leaves in
                such a connection, another gets.
            refuse_connections: Do not freeze a program that has other connections.

        Raises:
            StateError: It has not been started, or ended; with freeze points: it does not listen.
            GuestError: It does not answer, or has connections that are refused.
            PolicyError: ``keep_connections`` names a host that does not resolve.
        """
        return Snapshot(self._native.freeze(freeze_points, path, list(keep_connections), refuse_connections))

    def output(self) -> tuple[bytes, bytes]:
        """The output on captured standard output and error since the last call."""
        return self._native.output()

    def statistics(self) -> dict[str, int]:
        """Counters since the start: system calls, faults, and others by name."""
        return self._native.statistics()

    def interrupt(self) -> None:
        """Makes a ``run`` or ``boot`` in another thread return soon, as ``"interrupted"``."""
        self._native.interrupt()

    def forward_signal(self, signal: int) -> None:
        """Passes on a signal of a key (Ctrl-C, say) of the terminal that the program was started on.

        Its processes in the foreground get it. A signal that would stop the whole program stops this process instead.

        Args:
            signal: Its number.
        """
        self._native.forward_signal(signal)

    def close(self) -> None:
        """Ends the guest and frees its memory and descriptors. Can be called twice."""
        self._native.close()


def serve(
    argv: Sequence[str],
    *,
    policy: Policy | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    platform: Platform = DEFAULT_PLATFORM,
    limits: Limits | None = None,
    boot: BootOptions | None = None,
    options: ServeOptions | None = None,
) -> Server:
    """Boots a server program, freezes it when it is ready and serves it: ``Machine`` to ``Server`` in one call.

    The program's own output goes to this process's standard streams. See ``Machine``, its methods and
    ``Snapshot.serve`` for the arguments and the errors.

    Example:
        >>> policy = Policy(allow_read=True, allow_listen=":8000")
        >>> with serve(["python3", "app.py"], policy=policy, options=ServeOptions(threads=2)) as server:
        ...     server.wait()
    """
    boot = boot or BootOptions()
    with Machine(argv, policy=policy, env=env, cwd=cwd, stdio=(0, 1, 2), platform=platform, limits=limits) as machine:
        machine.boot(boot.max_boot_time or None)
        if boot.warmup:
            machine.warm_up(boot.warmup, boot.warmup_path)
        snapshot = machine.freeze(
            boot.tried_freeze_points,
            boot.warmup_path,
            keep_connections=boot.keep_connections,
            refuse_connections=boot.refuse_connections,
        )
        return snapshot.serve(options)
