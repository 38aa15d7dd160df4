"""The air between the module and the network: half the latency each way, a rate, and losses of datagrams."""

from __future__ import annotations

import random


class Radio:
    """Tells when what is sent now gets to the other side; order is kept in each direction."""

    def __init__(self, latency: float, rate: float | None, loss: float, seed: int) -> None:
        self.latency = latency
        self.half = latency / 2
        self._rate = rate
        self._loss = loss
        self._random = random.Random(seed)
        self._free_at = {"up": float("-inf"), "down": float("-inf")}

    def schedule(self, direction: str, size: int, now: float) -> float:
        """Return when ``size`` bytes that start now have arrived."""
        start = max(now, self._free_at[direction])
        end = start + (size / self._rate if self._rate else 0.0)
        self._free_at[direction] = end
        return end + self.half

    def is_lost(self) -> bool:
        """Tell the fate of the next datagram."""
        return bool(self._loss) and self._random.random() < self._loss
