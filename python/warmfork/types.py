"""What the native module takes and returns, for type checkers."""

from __future__ import annotations

from typing import Literal, TypedDict

Platform = Literal["auto", "process", "kvm"]
OutcomeKind = Literal["exited", "signaled", "timeout", "out_of_memory", "interrupted"]
ResetKind = Literal["rewritten", "dropped"]

class PolicySpec(TypedDict):
    read: list[str] | None
    write: list[str] | None
    connect: list[str] | None
    listen: list[str] | None
    volumes: list[tuple[str, str, bool]]

class Limits(TypedDict):
    memory_bytes: int
    address_space_bytes: int
    files: int
    threads: int

class SnapshotInfo(TypedDict):
    pages: int
    bytes: int
    mapped_bytes: int
    areas: int
    threads: int
    fds: int
    listening: list[str]

class Area(TypedDict):
    start: int
    end: int
    readable: bool
    writable: bool
    executable: bool
    shared: bool
    name: str

class Latency(TypedDict):
    buckets: list[tuple[float, int]]
    sum_seconds: float
    count: int

class ServerStatistics(TypedDict):
    workers: int
    connections: int
    served: int
    forks: int
    resets_rewritten: int
    resets_dropped: int
    pages_rewritten: int
    reset_seconds: float
    timeouts: int
    out_of_memory: int
    crashes: int
    exits: int
    failures: int
    syscalls: int
    latency: Latency

class Fact(TypedDict):
    name: str
    good: bool
    value: str
    why: str

class Diagnosis(TypedDict):
    platform: str
    facts: list[Fact]

