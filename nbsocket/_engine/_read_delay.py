"""How long reading can be put off while a payload comes in at the pace of the serial line.

A payload is counted: until the rest of it can have arrived there is nothing to be done, and at 115200 baud a thread
that wakes up for every few bytes does so a thousand times a second. Whether a line has the pace of its rate is unknown
(a pseudo-terminal, USB and a network are faster), so it is seen from what arrives.
"""

from __future__ import annotations

__all__ = ["ReadDelay"]

#: Seconds: longer delays could let the system's buffer run over, shorter ones spare nothing. The margin is what a wait
#: may take too long.
LONGEST_DELAY, SHORTEST_DELAY, MARGIN = 0.25, 0.005, 0.001

#: Bytes that may wait in the system: half of what a tty holds.
MOST_WAITING = 2048

#: Seconds within a payload from which the pace can be told.
SHORTEST_LOOK = 0.004

#: Bytes more than the rate allows that may come at once: what adapters keep back.
BURST = 256


class ReadDelay:
    """Watches the reads of one port."""

    def __init__(self) -> None:
        """Know nothing of the line."""
        self._bytes_per_second = 0.0
        self._has_pace = False
        self._read_at = float("-inf")
        #: Within a payload: since when its bytes are counted, and how many there were.
        self._since: float | None = None
        self._seen = 0

    def set_rate(self, rate: int | None) -> None:
        """The line has another rate in baud now; ten bits a byte. None: it is not known."""
        self._bytes_per_second = (rate or 0) / 10
        self._has_pace = False
        self._since = None

    def after(self, size: int, due: int, now: float) -> float | None:
        """Return until when not to read.

        Args:
            size: bytes that were just read, all that there were.
            due: bytes that must follow before anything can happen.
            now: on the clock of the result.
        Returns:
            None: read on as before.
        """
        if size > 1.25 * (now - self._read_at) * self._bytes_per_second + BURST:
            self._has_pace = False
        elif self._since is not None and now >= self._since + SHORTEST_LOOK:
            possible = (now - self._since) * self._bytes_per_second
            self._has_pace |= 0.5 * possible <= self._seen + size <= 1.25 * possible
            self._since = None
        self._read_at = now
        if not due:
            self._since = None
        elif self._since is None:
            self._since, self._seen = now, 0
        else:
            self._seen += size
        if not (due and self._has_pace):
            return None
        delay = min(min(due, MOST_WAITING) / self._bytes_per_second - MARGIN, LONGEST_DELAY)
        return now + delay if delay >= SHORTEST_DELAY else None
