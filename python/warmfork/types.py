"""Types of the native module's arguments and results."""

from __future__ import annotations

from typing import Literal, TypedDict

Platform = Literal["auto", "process", "kvm"]
DEFAULT_PLATFORM: Platform = "auto"
OutcomeKind = Literal["exited", "signaled", "served", "timeout", "out_of_memory", "interrupted"]
ResetKind = Literal["rewritten", "dropped", "rebuilt"]


class PolicySpec(TypedDict):
    """Permissions; ``None`` allows everything. Volumes are host path, guest path, writable."""

    read: list[str] | None
    write: list[str] | None
    connect: list[str] | None
    listen: list[str] | None
    volumes: list[tuple[str, str, bool]]


class Connection(TypedDict):
    """A connection to the outside that was open at the freeze.

    ``peer`` says where it leads, such as ``"to 127.0.0.1:6379"``, or ``"from"`` there when the program accepted it.
    Where it is ``kept``, all forks share it; else it ends in each.
    """

    peer: str
    kept: bool


class SnapshotInfo(TypedDict):
    """The contents of a snapshot: its image in pages and bytes, the bytes it maps, and how many of the rest.

    ``accepted`` says whether it has accepted a connection, in the place of which each fork has its own.
    """

    pages: int
    bytes: int
    mapped_bytes: int
    areas: int
    threads: int
    fds: int
    accepted: bool
    listening: list[str]
    connections: list[Connection]


class Area(TypedDict):
    """A mapping of a guest: addresses from ``start`` up to ``end``, and the file behind it or its kind."""

    start: int
    end: int
    readable: bool
    writable: bool
    executable: bool
    shared: bool
    name: str


class Thread(TypedDict):
    """A thread of a guest: its integer registers in the kernel's order, its vector state as XSAVE lays it out."""

    tid: int
    name: bytes
    registers: list[int]
    vectors: bytes


class Latency(TypedDict):
    """A histogram of seconds from accept to the end of a connection; each bucket counts those up to its bound."""

    buckets: list[tuple[float, int]]
    sum_seconds: float
    count: int


class ServerStatistics(TypedDict):
    """The counters of a server since its start; ``telemetry`` describes each."""

    platform: str
    platform_reason: str
    workers: int
    connections: int
    served: int
    forks: int
    resets_rewritten: int
    resets_dropped: int
    resets_rebuilt: int
    pages_rewritten: int
    reset_seconds: float
    idle: int
    timeouts: int
    out_of_memory: int
    crashes: int
    exits: int
    failures: int
    panics: int
    syscalls: int
    latency: Latency


class Fact(TypedDict):
    """One thing that ``doctor`` probed."""

    name: str
    good: bool
    value: str
    why: str


class Diagnosis(TypedDict):
    """The findings of ``doctor``; the platform is empty when none works."""

    platform: str
    facts: list[Fact]
