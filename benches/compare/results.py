"""The results of a run. Each is in the file as soon as it is there, even if a later part fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benches.compare.load import Load

Loads = dict[str, list[Load]]
"""By contestant, a load for each round."""


def in_rounds(loads: Loads, mine: str, other: str, measure: Callable[[Load], float]) -> float | None:
    """The median of the rounds' ratios of ``measure`` of one contestant to that of another.

    The two had their turns of a round beside each other. ``None`` where one of them has had no turn.
    """
    pairs = zip(loads.get(mine, ()), loads.get(other, ()), strict=False)
    ratios = [measure(one) / measure(beside) for one, beside in pairs]
    return median(ratios) if ratios else None


@dataclass(frozen=True)
class Measurement:
    """A measured value: the median where its name says nothing else."""

    value: float
    unit: str


Measured = dict[str, Measurement]
"""By name."""


@dataclass(frozen=True)
class Check:
    """A promise, and whether it holds: ``None`` where it was not measured."""

    promise: str
    bound: str
    measured: float | None
    holds: bool | None


@dataclass
class Results:
    """The measurements, and the parts that failed. :meth:`write` writes all of it."""

    file: Path
    machine: dict[str, Any]
    """Where and of what it was measured."""
    loads: dict[str, dict[str, Loads]] = field(default_factory=dict)
    """By kind of app and runtime."""
    costs: Measured = field(default_factory=dict)
    costs_in_machine: Measured = field(default_factory=dict)
    """The same in the emulated machine."""
    interception: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by part."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why, by part: what this machine does not have."""
    checks: list[Check] = field(default_factory=list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measures a part in the block: its failure is noted, and ends no other. Then writes the results."""
        try:
            yield
        except Exception as error:  # whatever it is: the other parts do not depend on it
            self.failed[name] = str(error) or repr(error)
        finally:
            self.write()

    def write(self) -> None:
        """Writes the file anew, whole at any time."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = asdict(self)
        del content["file"]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(content, indent=2) + "\n")
        new.replace(self.file)

    @property
    def good(self) -> bool:
        """Whether no part failed, and all that was measured is as promised."""
        return not self.failed and all(check.holds is not False for check in self.checks)
