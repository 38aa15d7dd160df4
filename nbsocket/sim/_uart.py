"""The module's end of the serial line: bytes take time, and some of them get lost when a test asks for it.

Theory of operation: each direction is a queue of bytes and a clock. The clock is the time at which the last byte that
left the queue was through; the next one is through ``1 / bytes_per_second`` later. Without a rate all of them are
through at once. Wake-ups are kept few: the next deadline is that of QUANTUM seconds worth of bytes, or of the last one.
"""

from __future__ import annotations

from collections.abc import Callable

#: Start bit, eight data bits, stop bit.
BITS_PER_BYTE = 10
QUANTUM = 0.01

#: What a host at another baud rate sees of a byte: never a letter, digit or line end.
_GARBLE = bytes(0x80 | (value ^ 0x55) for value in range(256))

Filter = Callable[[bytes], bytes]


class Direction:
    """One direction of the line."""

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self.total = 0
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
        """Remove and return what is through by ``now``."""
        size = len(self._queue)
        if self.rate is not None and size:
            speed = self.rate / BITS_PER_BYTE
            # A thousandth of a byte covers the rounding of a deadline that was computed from the same clock.
            size = min(size, max(0, int((now - self._clock) * speed + 0.001)))
            self._clock += size / speed
        data = bytes(self._queue[:size])
        del self._queue[:size]
        self.total += size
        return data

    def next_deadline(self) -> float | None:
        """Return when the next bytes are through."""
        if not self._queue:
            return None
        if self.rate is None:
            return self._clock
        speed = self.rate / BITS_PER_BYTE
        return self._clock + min(len(self._queue), max(1, int(speed * QUANTUM))) / speed

    def clear(self) -> None:
        """Lose what is on the line."""
        self._queue.clear()


class Uart:
    """Both directions: ``inbound`` from the host, ``outbound`` to the host."""

    def __init__(self, rate: int | None, is_paced: bool) -> None:
        self.inbound = Direction(None)
        self.outbound = Direction(None)
        self.is_paced = is_paced
        self.rate = rate
        self.host_rate: int | None = None
        self.set_rate(rate)

    def set_rate(self, rate: int | None) -> None:
        """Change the module's own rate."""
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
        return len(self.outbound) > self.outbound.rate / BITS_PER_BYTE * QUANTUM * 2

    def take_inbound(self, now: float) -> bytes:
        """Return what has arrived from the host."""
        data = self.inbound.take(now)
        return b"" if self.is_garbled else data

    def take_outbound(self, now: float) -> bytes:
        """Return what the host has got by now."""
        data = self.outbound.take(now)
        return data.translate(_GARBLE) if self.is_garbled else data
