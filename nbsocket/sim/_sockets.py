"""One socket of the modem, and what it has on its way.

Up from AT+QISEND to the peer's acknowledgement, down from the peer to the report.
Sources: BC260Y-CN TCP/IP guide 1.1 §2.3.5 (AT+QISEND, and what AT+QISEND=id,0 counts) and §2.4 (reports).
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._timers import Timer

if TYPE_CHECKING:
    from ._module import Module
    from ._socket_table import Sockets

MAX_SOCKETS = 5

#: Received bytes kept for one socket while the line is busy; then the peer has to wait, as a TCP window makes it.
RECEIVE_WINDOW = 16384

#: How long AT+QISEND waits for room in a full send buffer before SEND FAIL, what SEND OK takes anyway included: the
#: longest answer time of the manual.
ROOM_TIMEOUT = 5.0
_ROOM_INTERVAL = 0.05


class ManualSocketState(enum.IntEnum):
    """The manual's <socket_state>."""

    INITIAL = 0
    CONNECTING = 1
    CONNECTED = 2
    CLOSING = 3
    REMOTE_CLOSING = 4


class ModuleSocket:
    """One entry of the table."""

    def __init__(self, socket_id: int, service: str, host: str, remote_port: int, local_port: int, handle: int) -> None:
        self.socket_id = socket_id
        self.service = service
        self.host = host
        self.remote_port = remote_port
        self.local_port = local_port
        self.handle = handle
        self.state = ManualSocketState.CONNECTING
        self.timer: Timer | None = None
        self.has_network = False
        self.sent = 0
        self.received = 0
        self.last_active = 0.0
        #: the network has forgotten the connection: what is sent goes nowhere, nothing is acknowledged
        self.is_forgotten = False
        self.on_air_up = 0
        self.acknowledged = 0
        self.acknowledgements: deque[tuple[float, int]] = deque()
        self.delivered = 0
        self.down: deque[tuple[float, bytes | bool]] = deque()
        self.on_air_down = 0
        self.is_finishing = False
        #: how the open went is not told
        self.is_mute = False
        #: the peer or the network has reset it
        self.is_reset = False
        #: its close was reported before the data that came first: from when those are reported
        self.tail_at: float | None = None
        #: AT+QICLOSE was answered though data are still to be reported; bytes that were reported since
        self.is_answered = False
        self.late = 0
        #: 1: received data are pushed to the host, 0: they wait in ``unread`` for AT+QIRD
        self.access_mode = 1
        self.unread = bytearray()

    @property
    def unreported(self) -> int:
        """Bytes that have arrived and were not reported yet."""
        return sum(len(item) for _, item in self.down if not isinstance(item, bool))

    @property
    def is_connected(self) -> bool:
        """Data can be sent."""
        return self.state is ManualSocketState.CONNECTED


class Uplink:
    """Carries what AT+QISEND hands over to the peer, and knows how much of it is acknowledged."""

    def __init__(self, module: Module, sockets: Sockets) -> None:
        self._module = module
        self._sockets = sockets

    def send(self, entry: ModuleSocket, data: bytes, now: float, done: Callable[[bool, float], None]) -> None:
        """Hand ``data`` to the stack and call ``done(is_ok, now)`` once it has taken it, in time for 5 s in all."""
        timeout = max(0.0, ROOM_TIMEOUT - self._module.options.send_delay)
        self._try_send(entry, data, now, now + timeout, done)

    def _try_send(
        self, entry: ModuleSocket, data: bytes, now: float, deadline: float, done: Callable[[bool, float], None]
    ) -> None:
        if not self.can_send(entry):
            done(False, now)
            return
        if not self.has_room(entry, len(data), now):
            if now >= deadline or self._module.options.full_buffer != "wait":
                done(False, now)
                return
            retry = min(now + _ROOM_INTERVAL, deadline)
            self._module.timers.add(retry, lambda at: self._try_send(entry, data, at, deadline, done))
            return
        self._launch(entry, data, now)
        done(True, now)

    def has_room(self, entry: ModuleSocket, size: int, now: float) -> bool:
        """The send buffer of this socket holds so many bytes more."""
        return entry.service != "TCP" or self.unacknowledged(entry, now) + size <= self._module.options.send_buffer

    def can_send(self, entry: ModuleSocket) -> bool:
        """The modem would take data for this socket."""
        return entry.is_connected and self._sockets.table.get(entry.socket_id) is entry and self._module.has_address

    def _launch(self, entry: ModuleSocket, data: bytes, now: float) -> None:
        limit = self._module.options.idle_timeout
        if limit is not None and entry.service == "TCP" and now - entry.last_active > limit:
            entry.is_forgotten = True
        entry.last_active = now
        self._module.saving.traffic(now)
        entry.sent += len(data)
        entry.on_air_up += len(data)
        if entry.service == "UDP" and self._module.radio.is_lost():
            entry.on_air_up -= len(data)
            return
        self._expect_acknowledgement(entry, now)
        due = self._module.radio.schedule("up", len(data), now)
        if due <= now:
            self._land(entry, data, now)
        else:
            self._module.timers.add(due, lambda at: self._land(entry, data, at))

    def _expect_acknowledgement(self, entry: ModuleSocket, now: float) -> None:
        limit, sent = self._module.options.dead_after, entry.sent
        if limit is None or entry.service == "UDP":
            return

        def check(at: float) -> None:
            if entry.sent - self.unacknowledged(entry, at) < sent:
                self._sockets.break_one(entry, at)

        self._module.timers.add(now + limit, check)

    def _land(self, entry: ModuleSocket, data: bytes, now: float) -> None:
        entry.on_air_up -= len(data)
        if entry.has_network and not entry.is_forgotten:
            self._module.network.send(entry.handle, data, now)
            entry.delivered += len(data)
            entry.acknowledgements.append((now + self._module.radio.half, entry.delivered))
        self._sockets.finish_when_empty(entry)

    def unacknowledged(self, entry: ModuleSocket, now: float) -> int:
        """Return what the modem thinks is not acknowledged: news of the peer's ACK takes half the latency."""
        while entry.acknowledgements and entry.acknowledgements[0][0] <= now:
            entry.acknowledged = entry.acknowledgements.popleft()[1]
        waiting = self._module.network.unacknowledged(entry.handle) if entry.has_network else 0
        return entry.sent - min(entry.acknowledged, entry.delivered - waiting)

    def counts(self, entry: ModuleSocket, now: float) -> tuple[int, int, int]:
        """Return sent, acked, nAcked: all 0 after a disconnect, the latter two 0 for UDP (§2.3.5, §4.2.6)."""
        if entry.service == "UDP":
            return entry.sent, 0, 0
        if not entry.is_connected:
            return 0, 0, 0
        waiting = self.unacknowledged(entry, now)
        return entry.sent, entry.sent - waiting, waiting


class Downlink:
    """Carries what the peers send to the host: one report a socket in turn, while the line has room."""

    def __init__(self, module: Module, sockets: Sockets) -> None:
        self._module = module
        self._sockets = sockets
        #: whose turn it is to report
        self._turn = 0
        #: Forgotten at their close, but with data to report yet.
        self._tails: list[ModuleSocket] = []

    def lose(self, services: tuple[str, ...]) -> None:
        """Forget what sockets of these services, closed before, had to report yet."""
        self._tails = [entry for entry in self._tails if entry.service not in services]

    def arrived(self, entry: ModuleSocket, data: bytes, now: float) -> None:
        """Take what the peer sent; its window closes when too much waits for the line."""
        if entry.is_forgotten or (entry.service == "UDP" and (self._module.radio.is_lost() or self._module.is_asleep)):
            return
        entry.last_active = now
        self.put_down(entry, data, len(data), now)
        if entry.on_air_down > RECEIVE_WINDOW:
            self._module.network.set_receiving(entry.handle, False)

    def put_down(self, entry: ModuleSocket, item: bytes | bool, size: int, now: float) -> None:
        """Send data (or the peer's close: whether it is a reset) through the air, behind what is on its way."""
        due = self._module.radio.schedule("down", size, now)
        entry.on_air_down += size
        entry.down.append((due, item))
        if due > now:
            self._module.timers.add(due, self.pump)

    @staticmethod
    def _is_ready(entry: ModuleSocket, now: float) -> bool:
        if len(entry.unread) >= RECEIVE_WINDOW:
            return False  # AT+QIRD has to make room first: then the peer has to wait, too
        if entry.tail_at is not None:
            return bool(entry.down) and now >= entry.tail_at
        is_reported = entry.state in (ManualSocketState.CONNECTED, ManualSocketState.REMOTE_CLOSING)
        return is_reported and bool(entry.down) and entry.down[0][0] <= now

    def pump(self, now: float) -> None:
        """Report what has arrived, one report a socket in turn, while the line has room."""
        while self._module.output.can_report:
            entry = self._next_ready(now)
            if entry is None:
                return
            self._report(entry, now)

    def _next_ready(self, now: float) -> ModuleSocket | None:
        for step in range(MAX_SOCKETS):
            entry = self._sockets.table.get((self._turn + step) % MAX_SOCKETS)
            if entry is not None and self._is_ready(entry, now):
                self._turn = entry.socket_id + 1
                return entry
        return next((entry for entry in self._tails if self._is_ready(entry, now)), None)

    def _report(self, entry: ModuleSocket, now: float) -> None:
        last_due, last = entry.down[-1]
        if self._module.options.closed_first is not None and isinstance(last, bool) and last_due <= now:
            entry.down.pop()
            self._report_close(entry, last, now)
            return
        due, item = entry.down.popleft()
        if isinstance(item, bool):
            self._report_close(entry, item, now)
            return
        limit = self._module.model.max_report_size
        head, rest = item[:limit], item[limit:]
        if rest:
            entry.down.appendleft((due, rest))
        entry.received += len(head)
        entry.late += len(head) if entry.is_answered else 0
        entry.on_air_down -= len(head)
        if entry.has_network and entry.on_air_down <= RECEIVE_WINDOW // 2:
            self._module.network.set_receiving(entry.handle, True)
        if entry in self._tails and not entry.down:
            self._tails.remove(entry)
        if entry.access_mode:
            self._module.output.report_data(entry.socket_id, head, now)
        else:
            self._keep(entry, head, now)

    def _keep(self, entry: ModuleSocket, data: bytes, now: float) -> None:
        """Keep data for AT+QIRD; of what comes until all is fetched only the first is told."""
        if not entry.unread:
            length = f",{len(data)}" if self._module.life.settings["showlength"] else ""
            self._module.output.urc(f'+QIURC: "recv",{entry.socket_id}{length}', now)
        entry.unread += data

    def _report_close(self, entry: ModuleSocket, is_reset: bool, now: float) -> None:
        options = self._module.options
        entry.is_reset = is_reset
        is_orderly = options.after_closed == "remote" or (options.after_closed == "manual" and not is_reset)
        entry.state = ManualSocketState.REMOTE_CLOSING if is_orderly else ManualSocketState.INITIAL
        if entry.down:
            entry.tail_at = now + (options.closed_first or 0.0)
            self._module.timers.add(entry.tail_at, self.pump)
        for _ in range(1 + options.closed_twice):
            self._module.output.urc(f'+QIURC: "closed",{entry.socket_id}', now)
        if options.after_closed in ("forgotten", "error"):
            self._keep_tail(entry)
            self._sockets.drop_closed(entry, now)

    def _keep_tail(self, entry: ModuleSocket) -> None:
        """The entry goes; what came before its close is still to be reported."""
        if entry.down:
            self._tails.append(entry)

    def answer_close(self, socket_id: int) -> None:
        """AT+QICLOSE was answered for a socket that was forgotten."""
        for entry in self._tails:
            entry.is_answered |= entry.socket_id == socket_id
