"""The base of the classes that ``with`` closes."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """``with`` closes it."""

    def close(self) -> None:
        """Ends it; it may be called twice."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
