"""The one thread of each modem: port, channels, clock. It carries out what the driver asks and decides nothing."""

from nbsocket._engine._engine import Engine
from nbsocket._engine._stats import ConnectionStats, Stats

__all__ = ["ConnectionStats", "Engine", "Stats"]
