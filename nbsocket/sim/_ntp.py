"""The module's time client: RFC 4330 over the simulated network, where the host table leads to a server.

Without a rule for the server the simulated network answers itself, with the true time.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from ._network import Arrived, NetworkEvent

if TYPE_CHECKING:
    from ._module import Module

#: Seconds from 1900 to 1970.
_NTP_EPOCH = 2208988800
_PACKET_SIZE = 48
_TIMEOUT = 10.0

#: Handles of queries, apart from those of sockets.
_handles = itertools.count(1_000_000)

Done = Callable[[int, "datetime | None", float], None]


class TimeQuery:
    """One query; ``done(result, time, now)`` gets the outcome."""

    def __init__(self, module: Module, server: str, port: int, done: Done) -> None:
        self._module = module
        self._server = server
        self._port = port
        self._done: Done | None = done
        self._handle = next(_handles)

    def start(self, now: float) -> None:
        """Resolve the server, then ask it."""
        self._module.look_up(self._server, now, self._resolved)

    def _resolved(self, address: str | None, now: float) -> None:
        route = self._module.hosts.route(self._server, self._port)
        if address is None or route == "unknown":
            self._finish(565, None, now)
        elif isinstance(route, str):
            self._later(_TIMEOUT, now, lambda at: self._finish(569, None, at))
        elif self._module.hosts.rule(self._server, self._port) is None:
            self._later(self._module.radio.latency, now, self._answer_true_time)
        else:
            self._module.queries[self._handle] = self.handle
            self._module.network.open(self._handle, "UDP", route, 0, now)
            self._module.network.send(self._handle, bytes([0x23]) + bytes(_PACKET_SIZE - 1), now)
            self._later(_TIMEOUT, now, lambda at: self._finish(569, None, at))

    def _later(self, delay: float, now: float, action: Callable[[float], None]) -> None:
        self._module.life.touch(now + delay)
        self._module.timers.add(now + delay, action)

    def _answer_true_time(self, now: float) -> None:
        self._finish(0, self._module.life.true_time(now), now)

    def handle(self, event: NetworkEvent, now: float) -> None:
        """Take the server's packet."""
        if isinstance(event, Arrived) and len(event.data) >= _PACKET_SIZE:
            seconds = struct.unpack_from("!I", event.data, 40)[0] - _NTP_EPOCH
            time = datetime.fromtimestamp(seconds, timezone.utc)
            self._later(self._module.radio.latency, now, lambda at: self._finish(0, time, at))

    def _finish(self, result: int, time: datetime | None, now: float) -> None:
        if self._done is None:
            return
        done, self._done = self._done, None
        if self._module.queries.pop(self._handle, None) is not None:
            self._module.network.finish(self._handle)
        if time is not None:
            time = time.astimezone(timezone(timedelta(minutes=15 * self._module.life.zone)))
        done(result, time, now)
