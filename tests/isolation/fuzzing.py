"""Has a fork serve requests of random system calls and says how each went: the process that test_fuzz.py starts.

    fuzzing.py GUEST SCRATCH PLATFORM FIRST LAST CALLS

There is a line for each seed from FIRST to LAST, such as "17 timeout, replaced" or "17 wrong: ...". The number is
written before the request is made, so that whatever ends this process leaves the seed behind. Of a single seed, the
guest's calls are shown on standard error.
"""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
import time
from dataclasses import astuple
from pathlib import Path

from clients import pair
from resources import Resources
from timeouts import scaled

from warmfork import Fork, Limits, Machine, Policy, Snapshot

KINDS = ("served", "exited", "signaled", "timeout", "out_of_memory")
REQUEST_SECONDS = scaled(0.3)
# Of this process's own time, so that a busy machine does not count.
MOST_SECONDS = scaled(2.0)
REQUEST_MEMORY = 64 << 20
# What may be in use besides: pages that a fork has touched stay its own. The kvm platform has them in this process, and
# keeps machines ready for the next forks.
SPARE = {
    "process": Resources(
        files=0, machines=0, host_processes=0, threads=0, memory=8 << 20, mappings=16, guests=REQUEST_MEMORY
    ),
    "kvm": Resources(
        files=8, machines=2, host_processes=0, threads=2, memory=(8 << 20) + REQUEST_MEMORY, mappings=64, guests=0
    ),
}


def freeze(guest: str, scratch: Path, platform: str, shown: bool) -> Snapshot:
    """The guest with a directory of the host's to work in, and with limits that its requests reach."""
    with (
        Path(os.devnull).open() as null,
        Machine(
            [guest],
            policy=Policy(allow_listen=["127.0.0.1"], volumes=[f"{scratch}:/scratch:rw"]),
            cwd="/scratch",
            stdio=(null.fileno(), 2, 2) if shown else None,
            platform=platform,
            limits=Limits(memory="512M", files=256),
        ) as machine,
    ):
        machine.boot(scaled(20.0))
        return machine.freeze()


def tidy(scratch: Path) -> None:
    """Has each seed find the same as the first one."""
    scratch.chmod(0o700)
    for directory, names, _ in os.walk(scratch):
        for child in (Path(directory) / name for name in names):
            if not child.is_symlink():
                child.chmod(0o700)
    for entry in list(os.scandir(scratch)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        elif entry.name == "kept" and entry.is_file(follow_symlinks=False):
            os.truncate(entry, 0)  # guests have it open since before the freeze
        else:
            Path(entry).unlink()
    (scratch / "d").mkdir()
    (scratch / "link").symlink_to("/scratch/a")


def serve(fork: Fork, request: str, seconds: float = REQUEST_SECONDS) -> str:
    """Makes a request; how it ended."""
    client, connection = pair()
    with client, connection:
        client.sendall(request.encode() + b"\n")
        began = time.process_time()
        outcome = fork.serve(connection.fileno(), timeout=seconds, max_memory=REQUEST_MEMORY)
        fork.output()
        check_time("the request", began)
    if outcome.kind not in KINDS:
        raise AssertionError(f"it ended as {outcome}")
    return outcome.kind


def check_time(what: str, began: float) -> None:
    if (took := time.process_time() - began) > REQUEST_SECONDS + MOST_SECONDS:
        raise AssertionError(f"{what} kept the engine busy for {took:.1f} s")


def renew(snapshot: Snapshot, fork: Fork, replace: bool) -> tuple[Fork, str]:
    """A pristine fork after a request: the same, reset, or a new one in its place; and which."""
    if replace:
        fork.close()
        fork, how = snapshot.fork(), "replaced"
    else:
        began = time.process_time()
        how = fork.reset()
        check_time("the reset", began)
    if found := fork.differences():
        raise AssertionError(f"the fork, {how}, differs from a new one: {found}")
    return fork, how


def check_resources(before: Resources, spare: Resources) -> None:
    now = Resources.now()
    if any(new > old + more for new, old, more in zip(astuple(now), astuple(before), astuple(spare), strict=True)):
        raise AssertionError(f"it left something behind: {now}, before {before}")


def run(snapshot: Snapshot, spare: Resources, scratch: Path, seeds: range, request: str) -> None:
    fork = snapshot.fork()
    if serve(fork, "fuzz 0 0", scaled(20.0)) != "served":
        raise AssertionError("a request that makes no calls was not served")
    fork, _ = renew(snapshot, fork, replace=False)
    gc.freeze()
    before = Resources.now()
    for seed in seeds:
        tidy(scratch)
        print(seed, end=" ", flush=True)
        try:
            kind = serve(fork, request.format(seed))
            # A server's worker throws a fork away after anything but a served request; here every other one is reset.
            fork, how = renew(snapshot, fork, replace=kind != "served" and seed % 2 == 0)
            check_resources(before, spare)
            print(f"{kind}, {how}", flush=True)
        except Exception as error:
            print(f"wrong: {type(error).__name__}: {error}".replace("\n", " "), flush=True)
            fork.close()
            fork = snapshot.fork()
            before = Resources.now()  # what one seed has leaked is not the next one's
    fork.close()
    tidy(scratch)


def main() -> None:
    guest, directory, platform, first, last, calls = sys.argv[1:]
    logging.basicConfig(level=logging.ERROR)  # what a guest is denied is a warning
    scratch, single = Path(directory), first == last
    snapshot = freeze(guest, scratch, platform, shown=single)
    seeds = range(int(first), int(last) + 1)
    run(snapshot, SPARE[platform], scratch, seeds, f"fuzz {{}} {calls}" + " trace" * single)


if __name__ == "__main__":
    main()
