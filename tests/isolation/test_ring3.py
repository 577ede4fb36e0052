"""A guest reaches nothing but its own memory, and what it does to the platform's code and pages harms only itself."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clients import ask, port_of
from host_processes import IMAGE_BYTES
from resources import Resources, settle
from timeouts import SLOWNESS, scaled

from warmfork import Fork, Outcome, ServeOptions, Server, Snapshot

PAGE = 0x1000
USER_END = 0x7FFFFFFFF000
# Each platform has a page of code that guests can see, which ends in filler, and pages of data behind it.
CODE = USER_END - 0xF000
IMAGE = CODE - IMAGE_BYTES
CODE_BYTES = {"process": 512, "kvm": 160}
DATA_PAGES = {"process": 10, "kvm": 3}
KINDS_OF_REGISTERS = 6

# Addresses from, to, and the step from one to the next.
RANGES = {
    "lowest": "0-100/8 0-10000/1000",
    "platform": f"{CODE - PAGE:x}-{USER_END:x}/1000",
    "image": f"{IMAGE:x}-{IMAGE + 0x4000:x}/1000",
    "top": "7e0000000000-7fffffe00000/400000000 7fffffe00000-7fffffff0000/1000 7ffffffff000-800000000000/100",
    "not canonical": "800000000000-ffff800000000000/7ffffffffff000",
    "upper half": "ffff800000000000-ffffffff80000000/8000000000",
    "kernel": "ffffffff80000000-fffffffffffff000/1000000 fffffffffffff000-ffffffffffffffff/100",
}


def fewer(count: int) -> int:
    """So many where every CPU is slow, instead of ``count``."""
    return max(1, round(count / SLOWNESS))


@pytest.fixture(scope="module")
def snapshot(freeze: Callable[..., Snapshot]) -> Snapshot:
    return freeze("ring3")


@pytest.fixture
def fork(snapshot: Snapshot) -> Iterator[Fork]:
    with snapshot.fork() as fork:
        yield fork


def pages(first: int, count: int) -> set[int]:
    return {first + page * PAGE for page in range(count)}


def accessible(platform: str) -> dict[str, set[int]]:
    """What a guest can do outside of its own mappings, and where."""
    data = pages(CODE + PAGE, DATA_PAGES[platform])
    if platform == "kvm":
        return {"read": data | {CODE}, "run": {CODE}}
    # Its own image, as it was when it was frozen; the stub's code; pages that it shares with the stub, for it to spoil.
    image = pages(IMAGE, 0x400)
    return {"read": image | data | {CODE}, "write": data, "call": data, "run": {CODE}}


@pytest.mark.parametrize("where", [*RANGES, "borders", "random"])
def test_addresses_that_are_not_its_own(fork: Fork, request_of: Any, platform: str, where: str) -> None:
    requests = {"borders": "walk-borders", "random": "walk-random 4711"}
    served = request_of(fork, requests.get(where) or f"walk {RANGES[where]}", timeout=scaled(60.0))
    assert served.outcome == Outcome("served", 0)
    *found, probes, done = served.answer.decode().split()
    assert int(probes) >= 4
    assert done == "done"
    allowed = accessible(platform)
    for line in found:
        what, address = line.split(":")
        assert int(address, 16) in allowed.get(what, set()), served
    if where == "platform":
        assert f"run:{CODE:x}" in found
    fork.reset()
    assert fork.differences() == []


def test_nothing_is_mapped_over_the_platforms_pages(fork: Fork, request_of: Any) -> None:
    for span in (f"0-{0x10000:x}", f"{CODE - 16 * PAGE:x}-{USER_END + PAGE:x}", "ffff800000000000-ffff800000004000"):
        assert request_of(fork, f"map-over {span}").answer == b"done\n"
    fork.reset()
    assert fork.differences() == []


def test_jumps_into_the_platforms_code(snapshot: Snapshot, fork: Fork, request_of: Any) -> None:
    # Every byte, with registers of each kind, while another fork of the snapshot answers.
    with snapshot.fork() as bystander:
        for start in range(CODE, CODE + PAGE, 64 if SLOWNESS == 1 else 1024):
            served = request_of(fork, f"jump-around {start:x}-{start + 64:x} {start}", timeout=scaled(20.0))
            assert served.outcome == Outcome("served", 0)
            assert request_of(bystander, "fine").answer == b"fine done\n"
            for each in (fork, bystander):
                each.reset()
                assert each.differences() == []


@pytest.fixture
def few_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Pytest does not keep the line that there is for each guest that was killed."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    caplog.handler.addFilter(nothing)
    yield
    caplog.handler.removeFilter(nothing)


def attack(server: Server, port: int, requests: list[str]) -> None:
    """Makes the requests, each on a connection of its own, with a client beside them that is always answered."""
    done = threading.Event()

    def be_served() -> int:
        count = 0
        while not done.is_set():
            assert ask(port, b"fine\n") == b"fine done\n"
            count += 1
        return count

    with ThreadPoolExecutor(2) as clients:
        client = clients.submit(be_served)
        try:
            for request in requests:
                assert ask(port, request.encode() + b"\n") in (b"", b"back done\n", b"alive done\n", b"done\n"), request
        finally:
            done.set()
        assert client.result() > 0
    settle(server)


@pytest.mark.usefixtures("few_logs")
def test_a_server_outlives_jumps_into_the_platforms_code(snapshot: Snapshot, platform: str) -> None:
    port = port_of(snapshot)
    offsets = range(0, CODE_BYTES[platform], 1 if SLOWNESS == 1 else 32)
    jumps = [(offset, kind) for offset in offsets for kind in range(KINDS_OF_REGISTERS)]
    jumps += [(offset, offset % KINDS_OF_REGISTERS) for offset in range(CODE_BYTES[platform], PAGE, 64)]
    requests = [f"jump {CODE + offset:x} {kind} {offset * 8 + kind + 1}" for offset, kind in jumps]
    with snapshot.serve(ServeOptions(threads=2, max_request_time=scaled(0.5), max_request_memory="64M")) as server:
        attack(server, port, requests[:40])
        before = Resources.now()
        attack(server, port, requests)
        Resources.now().assert_no_more_than(before, memory=8 << 20)
        statistics = server.statistics()
        assert statistics["failures"] == 0
        assert statistics["crashes"] > len(requests) / 2


@pytest.mark.usefixtures("few_logs")
def test_a_server_outlives_noise(snapshot: Snapshot) -> None:
    port = port_of(snapshot)
    requests = [f"noise {seed} 300" for seed in range(1, 1 + fewer(150))]
    requests += [f"scribble {seed}" for seed in range(1, 1 + fewer(25))]
    # All of its memory, in one call; then what it can still do with all of it.
    requests += [f"unmap-all {end:x}" for end in (IMAGE, 1 << 46, 1 << 30, 1 << 22)]
    requests += [f"protect-all {protection}" for protection in range(8)]
    with snapshot.serve(ServeOptions(threads=2, max_request_time=scaled(0.5), max_request_memory="64M")) as server:
        attack(server, port, requests)
        assert server.statistics()["failures"] == 0


def test_registers_are_not_left_in_the_platforms_pages(
    snapshot: Snapshot, fork: Fork, request_of: Any, platform: str
) -> None:
    # What another request, or another fork, had in its registers is nowhere to be seen.
    span = f"{CODE:x}-{CODE + (1 + DATA_PAGES[platform]) * PAGE:x}"
    with snapshot.fork() as other:
        for each in (fork, other, fork):
            assert request_of(each, "leave").answer == b"done\n"
            assert int(request_of(each, f"look {span}").answer.split()[1]) >= 0
            each.reset()
            for reader in (fork, other):
                answer = re.fullmatch(rb"(\d+) (\d+) done\n", request_of(reader, f"look {span}").answer)
                assert answer
                assert int(answer[1]) == 1 + DATA_PAGES[platform]
                assert int(answer[2]) == 0
                reader.reset()
