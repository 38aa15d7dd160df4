"""Tells of datagrams that were dropped: each burst once, however many they are."""

from __future__ import annotations

import logging

from nbsocket._engine._log import EngineLog

__all__ = ["DropLog"]

logger = EngineLog("nbsocket")

#: Seconds from the first message of a burst to its summary; doubled while more are dropped, up to the longest.
FIRST_INTERVAL, LONGEST_INTERVAL = 5.0, 60.0


class DropLog:
    """The first of a burst is told at once, the others in a summary. Thread: the engine's."""

    def __init__(self) -> None:
        """Start with no burst."""
        self._interval = FIRST_INTERVAL
        #: When the summary is due; None: there is no burst.
        self._due: float | None = None
        self._untold = 0
        self._last = ""

    @property
    def deadline(self) -> float | None:
        """When :meth:`handle_timeout` is due."""
        return self._due

    def note(self, number: int, what: str, now: float) -> None:
        """Tell that datagrams were dropped.

        Args:
            number: how many.
            what: which ones, and why.
            now: seconds on the engine's clock.
        """
        if self._due is None:
            logger.log(logging.WARNING, "dropped %s", f"{_datagrams(number)} {what}")
            self._due = now + self._interval
        else:
            self._untold += number
            self._last = what

    def handle_timeout(self, now: float) -> None:
        """Tell the summary, if it is due."""
        if self._due is None or now < self._due:
            return
        if not self._untold:
            self._due, self._interval = None, FIRST_INTERVAL
            return
        logger.log(logging.WARNING, "dropped %s more, the last one %s", _datagrams(self._untold), self._last)
        self._untold = 0
        self._interval = min(2 * self._interval, LONGEST_INTERVAL)
        self._due = now + self._interval


def _datagrams(number: int) -> str:
    return f"{number} datagram{'s' if number != 1 else ''}"
