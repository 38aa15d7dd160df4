"""The modem's end of the serial line: bytes take time, and some of them get lost when a test asks for it.

Theory of operation: each direction is a queue of bytes and a clock. The clock is the time at which the last byte that
left the queue was through; the next one is through ``1 / bytes_per_second`` later. Without a rate all of them are
through at once. Wake-ups are kept few: the next deadline is that of a grain, some seconds' worth of bytes, or of the
last one.
"""

from __future__ import annotations

from collections.abc import Callable

#: Start bit, eight data bits, stop bit.
BITS_PER_BYTE = 10

#: Seconds' worth of bytes that are looked at together, unless the option "grain" says otherwise.
GRAIN = 0.01

#: Seconds' worth of bytes for the host beyond which received data waits in the modem.
BUSY_TIME = 0.02

#: What a host at another baud rate sees of a byte: never a letter, digit or line end.
_GARBLE = bytes(0x80 | (value ^ 0x55) for value in range(256))

#: A host that answers later than this has taken its own time.
REACTION_TIME = 0.01

Filter = Callable[[bytes], bytes]


class Direction:
    """One direction of the line."""

    def __init__(self, rate: int | None, grain: float) -> None:
        self.rate = rate
        self.total = 0
        self._grain = grain
        self.filters: list[Filter] = []
        self._queue = bytearray()
        self._clock = float("-inf")

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, data: bytes, now: float) -> None:
        """Append ``data``; its first byte starts as soon as the line is free."""
        for change in tuple(self.filters):
            data = change(data)
        if not self._queue:
            self._clock = max(self._clock, now)
        self._queue += data

    def take(self, now: float) -> bytes:
        """Remove and return what is through by ``now``, if that is a grain or the last byte."""
        size = len(self._queue)
        if self.rate is not None and size:
            speed = self.rate / BITS_PER_BYTE
            # A thousandth of a byte covers the rounding of a deadline that was computed from the same clock.
            through = min(size, max(0, int((now - self._clock) * speed + 0.001)))
            size = through if through >= self._grain_size() else 0
            self._clock += size / speed
        data = bytes(self._queue[:size])
        del self._queue[:size]
        self.total += size
        return data

    @property
    def through_at(self) -> float:
        """When the last byte that was taken was through."""
        return self._clock

    def next_deadline(self) -> float | None:
        """Return when the next bytes are through."""
        if not self._queue:
            return None
        if self.rate is None:
            return self._clock
        return self._clock + self._grain_size() * BITS_PER_BYTE / self.rate

    def _grain_size(self) -> int:
        assert self.rate is not None
        return min(len(self._queue), max(1, int(self.rate / BITS_PER_BYTE * self._grain)))

    def clear(self) -> None:
        """Lose what is on the line."""
        self._queue.clear()


class Uart:
    """Both directions: ``inbound`` from the host, ``outbound`` to the host."""

    def __init__(self, rate: int | None, is_paced: bool, grain: float = GRAIN) -> None:
        self.inbound = Direction(None, GRAIN)
        self.outbound = Direction(None, grain)
        self.is_paced = is_paced
        self.rate = rate
        self.host_rate: int | None = None
        self.set_rate(rate)

    def set_rate(self, rate: int | None) -> None:
        """Change the modem's own rate."""
        self.rate = rate
        if self.is_paced:
            self.inbound.rate = self.outbound.rate = rate

    @property
    def is_garbled(self) -> bool:
        """The host talks at another rate."""
        return self.host_rate is not None and self.host_rate != self.rate

    @property
    def is_busy(self) -> bool:
        """Enough is queued for the host: received data can wait, so that an answer need not."""
        if self.outbound.rate is None:
            return len(self.outbound) >= 4096
        return len(self.outbound) > self.outbound.rate / BITS_PER_BYTE * BUSY_TIME

    def take_inbound(self, now: float) -> bytes:
        """Return what has arrived from the host."""
        data = self.inbound.take(now)
        return b"" if self.is_garbled else data

    def take_outbound(self, now: float) -> bytes:
        """Return what the host has got by now."""
        data = self.outbound.take(now)
        return data.translate(_GARBLE) if self.is_garbled else data


class Lateness:
    """Dates what the host says in answer to bytes that it was handed late.

    A thread wakes up some time after the last bit was through, and a line that is waited for in turns would be slower
    by that much each time than its rate. A host that answers at once would have done so as much sooner, so what it says
    is dated as much earlier; the time that the host itself takes counts in full.
    """

    def __init__(self) -> None:
        self._lateness = 0.0
        self._handed_over = float("-inf")

    def hand_over(self, due: float, now: float) -> None:
        """Bytes that were through at ``due`` reach the host at ``now``."""
        self._lateness = min(max(0.0, now - due), REACTION_TIME)
        self._handed_over = now

    def date(self, now: float) -> float:
        """Return when what the host says ``now`` would have come from a line that is never late."""
        lateness, self._lateness = self._lateness, 0.0
        return now - lateness if now - self._handed_over < REACTION_TIME else now
