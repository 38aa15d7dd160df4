"""How long reading can be put off while a payload comes in at the pace of the serial line.

A payload is counted: until the rest of it can have arrived there is nothing to be done, and at 115200 baud a thread
that wakes up for every few bytes does so a thousand times a second. Whether a line has the pace of its rate is unknown
(a pseudo-terminal, USB and a network are faster), so it is seen from what arrives.
"""

from __future__ import annotations

__all__ = ["Pace"]

#: Seconds: longer naps could let the system's buffer run over, shorter ones spare nothing. The margin is what a wait
#: may take too long.
LONGEST_NAP, SHORTEST_NAP, MARGIN = 0.25, 0.005, 0.001

#: Bytes that may wait in the system: half of what a tty holds.
MOST_WAITING = 2048

#: Seconds between two reads from which the pace can be told.
SHORTEST_LOOK = 0.002

#: Bytes more than the rate allows that may come at once: what adapters keep back.
BURST = 256


class Pace:
    """Watches the reads of one port."""

    def __init__(self) -> None:
        """Know nothing of the line."""
        self._bytes_per_second = 0.0
        self._has_pace = False
        self._read_at = float("-inf")
        self._was_due = 0

    def set_rate(self, rate: int | None) -> None:
        """The line has another rate in baud now; ten bits a byte. None: it is not known."""
        self._bytes_per_second = (rate or 0) / 10
        self._has_pace = False
        self._was_due = 0

    def nap_after(self, size: int, due: int, now: float) -> float | None:
        """Return until when not to read.

        Args:
            size: bytes that were just read, all that there were.
            due: bytes that must follow before anything can happen.
            now: on the clock of the result.
        Returns:
            None: read on as before.
        """
        possible = (now - self._read_at) * self._bytes_per_second
        if size > 1.25 * possible + BURST:
            self._has_pace = False
        elif self._was_due and now >= self._read_at + SHORTEST_LOOK and 0.5 * possible <= size <= 1.25 * possible:
            self._has_pace = True
        self._read_at, self._was_due = now, due
        if not (due and self._has_pace):
            return None
        nap = min(min(due, MOST_WAITING) / self._bytes_per_second - MARGIN, LONGEST_NAP)
        return now + nap if nap >= SHORTEST_NAP else None
