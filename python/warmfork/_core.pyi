"""Types of the native module. Use ``warmfork.Machine`` and the other classes of the package instead.

Times are seconds, sizes bytes. Each call that can take long releases the GIL and lets Python handle signals
at least every 100 ms. Errors are those of ``warmfork.errors``.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict, final

DEBUG_BUILD: bool
__version__: str

Platform = Literal["auto", "process", "kvm"]
OutcomeKind = Literal["exited", "signaled", "timeout", "out_of_memory", "interrupted"]
ResetKind = Literal["pages", "full"]

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
    requests: int
    resets_pages: int
    resets_full: int
    pages_restored: int
    forks_replaced: int
    timeouts: int
    crashes: int
    out_of_memory: int
    latency: Latency

@final
class Outcome:
    @property
    def kind(self) -> OutcomeKind: ...
    @property
    def code(self) -> int: ...

@final
class Machine:
    def __new__(
        cls,
        argv: Sequence[str],
        *,
        env: Sequence[tuple[str, str]],
        cwd: str,
        policy: PolicySpec,
        limits: Limits,
        stdio: tuple[int, int, int] | None,
        platform: Platform,
    ) -> Machine: ...
    def run(self, timeout: float | None) -> Outcome: ...
    def boot(self, timeout: float | None) -> list[str]: ...
    def warm_up(self, count: int, path: str) -> None: ...
    def freeze(self) -> Snapshot: ...
    def output(self) -> tuple[bytes, bytes]: ...
    def statistics(self) -> dict[str, int]: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...

@final
class Snapshot:
    def fork(self) -> Fork: ...
    def info(self) -> SnapshotInfo: ...
    def serve(
        self,
        *,
        threads: int,
        ephemeral: bool,
        max_request_time: float | None,
        max_request_memory: int,
        limit_request_memory: int,
    ) -> Server: ...

@final
class Fork:
    def run(self, timeout: float | None) -> Outcome: ...
    def reset(self) -> ResetKind: ...
    def read_memory(self, address: int, length: int) -> bytes: ...
    def write_memory(self, address: int, data: bytes) -> None: ...
    def areas(self) -> list[Area]: ...
    def differences(self) -> list[str]: ...
    def statistics(self) -> dict[str, int]: ...
    def output(self) -> tuple[bytes, bytes]: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...

@final
class Server:
    def wait(self, timeout: float | None) -> bool: ...
    def statistics(self) -> ServerStatistics: ...
    def stop(self, grace: float) -> None: ...

class Fact(TypedDict):
    name: str
    good: bool
    value: str
    why: str

class Diagnosis(TypedDict):
    platform: str
    facts: list[Fact]

def doctor() -> Diagnosis: ...
def syscalls() -> list[tuple[int, str, str, str]]: ...
