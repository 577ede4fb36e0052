"""Types of the native module. Use ``warmfork.Machine`` and the other classes of the package instead.

Times are seconds, sizes bytes. Each call that can take long releases the GIL and lets Python handle signals
at least every 100 ms. Errors are those of ``warmfork.errors``.
"""

from collections.abc import Sequence
from typing import final

from warmfork.types import (
    Area,
    Diagnosis,
    Limits,
    OutcomeKind,
    Platform,
    PolicySpec,
    ResetKind,
    ServerStatistics,
    SnapshotInfo,
)

DEBUG_BUILD: bool
__version__: str

__all__ = [
    "DEBUG_BUILD",
    "Fork",
    "Machine",
    "Outcome",
    "Server",
    "Snapshot",
    "__version__",
    "doctor",
    "syscalls",
]

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
        max_request_memory: int | None,
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

def doctor() -> Diagnosis: ...
def syscalls() -> list[tuple[int, str, str, str]]: ...
