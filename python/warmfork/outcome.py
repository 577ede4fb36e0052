"""``Outcome``: how a run of a guest ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warmfork.types import OutcomeKind


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
        """The exit status as of a shell: the exit code or 128 plus the signal; 124 for a timeout, 137 out of memory."""
        status: dict[OutcomeKind, int] = {
            "exited": self.code,
            "signaled": 128 + self.code,
            "served": 0,
            "timeout": 124,
            "out_of_memory": 137,
            "interrupted": 130,
        }
        return status[self.kind]
