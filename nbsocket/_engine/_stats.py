"""What the engine counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ConnectionStats", "Stats"]


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """Payload of one connection."""

    #: ``"TCP"`` or ``"UDP"``.
    service: str
    host: str
    port: int
    #: Bytes taken from the application.
    bytes_up: int
    #: Bytes received for it.
    bytes_down: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """What crossed the serial line since the modem was first used."""

    #: Bytes written to the serial line.
    bytes_up: int
    #: Bytes read from it.
    bytes_down: int
    #: AT commands sent.
    commands: int
    #: How often the engine's thread woke up.
    wakeups: int
    #: Everything that the driver counts, by name.
    counters: dict[str, int]
    #: Open connections and the last ones that ended.
    connections: tuple[ConnectionStats, ...]
