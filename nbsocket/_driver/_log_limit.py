"""The log of a bad serial line, which could bring lines by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nbsocket._driver._events import Event, Log

__all__ = ["DEBUG", "INFO", "SAID", "WARNING", "LogLimit", "WireTrouble"]

#: Levels of :mod:`logging`, which does I/O and is not imported here.
DEBUG, INFO, WARNING = 10, 20, 30

#: How the log tells of a line that nothing here waits for; the line itself follows, in quotes.
SAID = "the module said "

#: Seconds in which so many lines are let through; those beyond are summed up when they are over.
LOG_INTERVAL = 60.0

#: Lines of the log a minute about lost bytes, and about lines that nothing waits for.
MOST_WARNINGS, MOST_STRANGE_LINES = 5, 20


class LogLimit:
    """Lets through the first lines of each minute and counts the others. It reads no clock: ``now`` is handed in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begin = float("-inf")
        self._count = 0

    def admits(self, now: float) -> bool:
        """Whether one more line may be written now. Ask :meth:`take_left_out` first."""
        if now >= self._begin + LOG_INTERVAL:
            self._begin, self._count = now, 0
        self._count += 1
        return self._count <= self._most

    @property
    def deadline(self) -> float | None:
        """When the summary is due; None while nothing was left out."""
        return self._begin + LOG_INTERVAL if self._count > self._most else None

    def take_left_out(self, now: float) -> int:
        """How many lines were left out, once their minute is over; 0 before, and when it was told already."""
        if self.deadline is None or now < self.deadline:
            return 0
        left_out, self._count = self._count - self._most, 0
        return left_out


class WireTrouble:
    """Logs lost bytes and strange lines, as many as are of use."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._warnings = LogLimit(MOST_WARNINGS)
        self._strange_lines = LogLimit(MOST_STRANGE_LINES)
        #: Whether a summary will be due.
        self.has_left_out = False

    def lost_bytes(self, reason: str, now: float) -> None:
        """Bytes from the modem were lost."""
        self.sum_up(now)
        if self._warnings.admits(now):
            self._emit(Log(WARNING, f"bytes were lost on the serial line: {reason}"))
        else:
            self.has_left_out = True

    def strange(self, message: str, now: float) -> None:
        """A line came that nothing waits for."""
        self.sum_up(now)
        if self._strange_lines.admits(now):
            self._emit(Log(DEBUG, message))
        else:
            self.has_left_out = True

    def sum_up(self, now: float) -> None:
        """Tell how many lines the limits have kept out of the log."""
        for limit, level, what in (
            (self._warnings, WARNING, "times that bytes were lost on the serial line"),
            (self._strange_lines, DEBUG, "lines that nothing waits for"),
        ):
            left_out = limit.take_left_out(now)
            if left_out:
                self._emit(Log(level, f"{left_out} more {what} within a minute were not logged"))
        self.has_left_out = any(moment is not None for moment in self.deadlines())

    def deadlines(self) -> Iterator[float | None]:
        """When a summary is due."""
        yield self._warnings.deadline
        yield self._strange_lines.deadline
