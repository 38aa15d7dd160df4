"""A heap of things to do at given times, in order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timer:
    """One thing to do; ``cancel()`` makes it nothing."""

    __slots__ = ("action", "is_lasting")

    def __init__(self, action: Callable[[float], None], is_lasting: bool) -> None:
        self.action: Callable[[float], None] | None = action
        self.is_lasting = is_lasting

    def cancel(self) -> None:
        """Do not do it."""
        self.action = None


class Timers:
    """Actions by time; actions of the same time run in the order they were added."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def add(self, time: float, action: Callable[[float], None], is_lasting: bool = False) -> Timer:
        """Call ``action(time)`` when ``time`` has come; a lasting one survives :meth:`clear`."""
        timer = Timer(action, is_lasting)
        heapq.heappush(self._heap, (time, next(self._numbers), timer))
        return timer

    def next_time(self) -> float | None:
        """Return when the next action is due."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Run the next action, as of its own time."""
        time, _, timer = heapq.heappop(self._heap)
        if timer.action is not None:
            timer.action(time)

    def clear(self) -> None:
        """Forget everything that is not lasting."""
        for _, _, timer in self._heap:
            if not timer.is_lasting:
                timer.cancel()
