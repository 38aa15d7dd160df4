"""All that the simulation knows of the inside of a driver; it needs that to tell what a fault excuses."""

from __future__ import annotations

from typing import Any

from nbsocket._at import Command
from nbsocket._driver import DataReceived, Driver
from nbsocket._driver._lifecycle import Mode
from nbsocket._driver._segment import Segment

__all__ = ["Insight"]


class Insight:
    """Looks into a driver; changes nothing."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._core = driver._core

    # -- the line

    @property
    def pending(self) -> Command[Any] | None:
        """The command that waits for its final result."""
        return self._core.chat.pending

    @property
    def knows_format(self) -> bool:
        """Whether the driver knows how received data come: as hex digits or as text."""
        return self._core.chat.receives_hex is not None

    @property
    def buffered_size(self) -> int:
        """Bytes that the codec keeps of what the modem said."""
        return self._core.chat._framer.buffered_size

    # -- the modem's life

    @property
    def is_working(self) -> bool:
        """Whether the modem is ready and no script of its life has the line."""
        return self._driver.is_ready and self._core.lifecycle.script is None

    @property
    def has_failed(self) -> bool:
        """Whether bring-up was given up."""
        return self._core.lifecycle.mode is Mode.FAILED

    def received_before(self, key: int) -> int:
        """How often a connection has received something that nobody has fetched yet."""
        events = (event for event in self._core.events if isinstance(event, DataReceived))
        return sum(event.key == key for event in events)

    # -- sockets

    @property
    def claimed_ids(self) -> set[int]:
        """Sockets that are the user's own."""
        return self._core.connections.ids.claimed

    @property
    def free_ids(self) -> list[int]:
        """Sockets that nobody has."""
        return sorted(self._core.connections.ids.free)

    @property
    def has_connections(self) -> bool:
        """Whether any connection has not ended."""
        return bool(self._core.connections.table._by_key)

    @property
    def size(self) -> tuple[int, int]:
        """How many connections and requests there are, those of nobody included."""
        return len(self._core.table.order), len(self._core.tasks.queue)

    # -- sends

    def _segment(self, key: int) -> Segment | None:
        link = self._core.connections.table.get(key)
        return link.segment if link is not None else None

    def may_be_in_the_modem(self, key: int) -> bool:
        """Whether a connection's segment is being sent, or its fate is not known."""
        segment = self._segment(key)
        return segment is not None and (segment.is_sending or segment.is_unconfirmed)

    def awaits_outcome(self, key: int) -> bool:
        """Whether the outcome of a connection's send may still come."""
        segment = self._segment(key)
        return segment is not None and (segment.is_sending or segment.awaits_outcome)

    @property
    def awaits_any_outcome(self) -> bool:
        """Whether that of any connection may."""
        return any(self.awaits_outcome(link.key) for link in self._core.table.order if link.key)
