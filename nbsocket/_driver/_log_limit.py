"""A limit for lines of the log that a bad serial line could bring by the thousand."""

from __future__ import annotations

__all__ = ["LogLimit"]

#: Seconds in which so many lines are let through; those beyond are summed up when they are over.
INTERVAL = 60.0


class LogLimit:
    """Lets through the first lines of each minute and counts the others. It reads no clock: ``now`` is handed in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begin = float("-inf")
        self._count = 0

    def admits(self, now: float) -> bool:
        """Whether one more line may be written now. Ask :meth:`take_left_out` first."""
        if now >= self._begin + INTERVAL:
            self._begin, self._count = now, 0
        self._count += 1
        return self._count <= self._most

    @property
    def deadline(self) -> float | None:
        """When the summary is due; None while nothing was left out."""
        return self._begin + INTERVAL if self._count > self._most else None

    def take_left_out(self, now: float) -> int:
        """How many lines were left out, once their minute is over; 0 before, and when it was told already."""
        if self.deadline is None or now < self.deadline:
            return 0
        left_out, self._count = self._count - self._most, 0
        return left_out
