"""The module's five sockets: states, what is on its way up and down, and the reports to the host.

Reading of the manual's socket states (BC260Y-CN TCP/IP guide 1.1 §2.3.4): 1 while connecting, 2 connected, 3 from
AT+QICLOSE to CLOSE OK, 4 after the peer's FIN, 0 after a failed open and after a reset. An entry stays until
AT+QICLOSE. Other firmware gives other states after a close, or forgets the entry: see the option ``after_closed``.
"""

from __future__ import annotations

import enum
import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._hosts import Target
from ._network import Arrived, NetworkEvent, Opened
from ._timers import Timer

if TYPE_CHECKING:
    from ._module import Module

MAX_SOCKETS = 5

#: Longest payload of one report (BC260Y-CN TCP/IP guide 1.1 §2.4).
MAX_REPORT_SIZE = 1024

#: Received bytes kept for one socket while the line is busy; then the peer has to wait, as a TCP window makes it.
RECEIVE_WINDOW = 16384

#: How long AT+QISEND waits for room in a full send buffer before SEND FAIL, what SEND OK takes anyway included: the
#: longest answer time of the manual.
ROOM_TIMEOUT = 5.0
_ROOM_INTERVAL = 0.05

#: How often AT+QICLOSE looks whether all data that came before the peer's close are reported.
_TAIL_INTERVAL = 0.01


class SocketState(enum.IntEnum):
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
        self.state = SocketState.CONNECTING
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

    @property
    def unreported(self) -> int:
        """Bytes that have arrived and were not reported yet."""
        return sum(len(item) for _, item in self.down if not isinstance(item, bool))

    @property
    def is_connected(self) -> bool:
        """Data can be sent."""
        return self.state is SocketState.CONNECTED


class Sockets:
    """The table, and the traffic of its entries."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self.table: dict[int, ModuleSocket] = {}
        self._by_handle: dict[int, ModuleSocket] = {}
        self._handles = itertools.count(1)
        self._held_ports: dict[int, float] = {}
        self._turn = 0
        self._totals: dict[int, tuple[int, int]] = {}
        #: Forgotten at their close, but with data to report yet.
        self._tails: list[ModuleSocket] = []

    # ---- open

    @property
    def is_opening(self) -> bool:
        """An AT+QIOPEN waits for its outcome."""
        return any(entry.state is SocketState.CONNECTING for entry in self.table.values())

    @property
    def is_moving(self) -> bool:
        """A socket opens or closes, or has data on the air."""
        passing = (SocketState.CONNECTING, SocketState.CLOSING)
        return any(entry.state in passing or entry.on_air_up > 0 or entry.down for entry in self.table.values())

    def by_handle(self, handle: int) -> ModuleSocket | None:
        """Return the entry that has this connection of the network."""
        return self._by_handle.get(handle)

    def add_orphan(self, socket_id: int, service: str) -> None:
        """Add a socket that a host of earlier times left open."""
        entry = ModuleSocket(socket_id, service, "203.0.113.9", 7, 0, next(self._handles))
        entry.state = SocketState.CONNECTED
        self.table[socket_id] = entry

    def open(
        self,
        socket_id: int,
        service: str,
        host: str,
        remote_port: int,
        local_port: int,
        now: float,
        is_mute: bool = False,
    ) -> None:
        """Begin to connect; the id must be free. ``is_mute``: the outcome is not told."""
        entry = ModuleSocket(socket_id, service, host, remote_port, local_port, next(self._handles))
        entry.is_mute = is_mute
        entry.last_active = now
        self.table[socket_id] = entry
        if self._module.lacks_apn:
            self._at(entry, now, lambda at: self.opened(entry, 573, at))
            return
        if local_port and self._is_port_held(entry, now):
            self._at(entry, now, lambda at: self.opened(entry, self._module.options.port_busy, at))
            return
        self._module.look_up(host, now, lambda address, at: self._connect(entry, address, at))
        if service == "TCP":
            deadline = now + self._module.options.connect_timeout
            self._at(entry, deadline, lambda at: self.opened(entry, 569, at))

    def _at(self, entry: ModuleSocket, time: float, action: Callable[[float], None]) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        entry.timer = self._module.timers.add(time, action)

    def _is_port_held(self, entry: ModuleSocket, now: float) -> bool:
        if self._held_ports.get(entry.local_port, now) > now:
            return True
        return any(other.local_port == entry.local_port for other in self.table.values() if other is not entry)

    def _connect(self, entry: ModuleSocket, address: str | None, now: float) -> None:
        if self.table.get(entry.socket_id) is not entry or entry.state is not SocketState.CONNECTING:
            return
        target = self._module.hosts.route(entry.host, entry.remote_port)
        if address is None or target == "unknown":
            self.opened(entry, 565, now)
            return
        entry.has_network = True
        self._by_handle[entry.handle] = entry
        arrival = self._module.radio.schedule("up", 40, now) if entry.service == "TCP" else now
        opener = lambda at: self._open_network(entry, target, at)  # noqa: E731  # a timer action
        self._module.timers.add(arrival, opener)

    def _open_network(self, entry: ModuleSocket, target: Target | str, now: float) -> None:
        if self._by_handle.get(entry.handle) is entry:
            self._module.network.open(entry.handle, entry.service, target, entry.local_port, now)

    def opened(self, entry: ModuleSocket, result: int, now: float) -> None:
        """Report the outcome of an open."""
        if self.table.get(entry.socket_id) is not entry or entry.state is not SocketState.CONNECTING:
            return
        if entry.timer is not None:
            entry.timer.cancel()
        entry.state = SocketState.CONNECTED if result == 0 else SocketState.INITIAL
        if result:
            self._leave_network(entry, is_told=True)
        if not entry.is_mute:
            self._module.urc(f"+QIOPEN: {entry.socket_id},{result}", now)

    # ---- close

    def close(self, entry: ModuleSocket, now: float) -> None:
        """Deliver what was sent, then FIN; CLOSE OK comes after ``close_delay``."""
        if entry.timer is not None:
            entry.timer.cancel()
        was_open = entry.state is not SocketState.CONNECTING and not entry.is_reset
        entry.state = SocketState.CLOSING
        if entry.tail_at is None:
            entry.down.clear()
        else:
            entry.tail_at = now  # what it has yet to report comes before CLOSE OK
        entry.is_finishing = True
        self._finish_when_empty(entry, was_open)
        self._at(entry, now + self._module.options.close_delay, lambda at: self._closed(entry, at))

    def _finish_when_empty(self, entry: ModuleSocket, was_open: bool = True) -> None:
        if entry.is_finishing and (entry.on_air_up == 0 or not was_open):
            self._leave_network(entry, is_told=True)

    def _closed(self, entry: ModuleSocket, now: float) -> None:
        if entry.down and entry.tail_at is not None:
            self._at(entry, now + _TAIL_INTERVAL, lambda at: self._closed(entry, at))
            return
        self._remove(entry, now)
        self._module.urc("CLOSE OK", now)

    def _remove(self, entry: ModuleSocket, now: float) -> None:
        if self.table.get(entry.socket_id) is entry:
            del self.table[entry.socket_id]
        if entry.local_port:
            self._held_ports[entry.local_port] = now + self._module.options.port_hold
        sent, received = self._totals.get(entry.socket_id, (0, 0))
        self._totals[entry.socket_id] = (sent + entry.sent, received + entry.received)

    def traffic(self) -> dict[int, tuple[int, int]]:
        """Return the payload bytes (sent, received) of each socket id, those of closed sockets included."""
        sums = dict(self._totals)
        for entry in list(self.table.values()):
            sent, received = sums.get(entry.socket_id, (0, 0))
            sums[entry.socket_id] = (sent + entry.sent, received + entry.received)
        return sums

    def _leave_network(self, entry: ModuleSocket, is_told: bool) -> None:
        self._by_handle.pop(entry.handle, None)
        if entry.has_network:
            entry.has_network = False
            (self._module.network.finish if is_told else self._module.network.vanish)(entry.handle)

    def lose(self, services: tuple[str, ...], now: float) -> None:
        """Forget all sockets of these services, telling neither host nor peer (restart, deep sleep)."""
        self._tails = [entry for entry in self._tails if entry.service not in services]
        for entry in [entry for entry in self.table.values() if entry.service in services]:
            if entry.timer is not None:
                entry.timer.cancel()
            entry.down.clear()
            entry.on_air_up = 0
            self._leave_network(entry, is_told=False)
            self._remove(entry, now)

    def forget(self, entry: ModuleSocket, state: int | None, now: float) -> None:
        """Lose a socket and tell nobody: no entry is left, or one in this state. What is on the air arrives."""
        if entry.state is SocketState.CONNECTED:
            entry.down.clear()
            entry.is_finishing = True
            self._finish_when_empty(entry)
            if state is None:
                self._remove(entry, now)
            else:
                entry.state = SocketState(state)

    def cut_streams(self) -> None:
        """The network has no TCP connection any more; the entries stay as they are."""
        for entry in self.table.values():
            if entry.service == "TCP" and entry.is_connected:
                entry.is_forgotten = True
                self._leave_network(entry, is_told=False)

    def release_ports(self) -> None:
        """Forget which local ports are busy (a boot)."""
        self._held_ports.clear()

    def break_all(self, now: float) -> None:
        """The context is gone: TCP connections end with a report, nothing can be sent any more."""
        for entry in list(self.table.values()):
            if entry.state is SocketState.CONNECTING:
                self.opened(entry, 570, now)
            elif entry.service == "TCP":
                self.break_one(entry, now)

    def break_one(self, entry: ModuleSocket, now: float) -> None:
        """The network broke this TCP connection."""
        if entry.state in (SocketState.CONNECTED, SocketState.REMOTE_CLOSING):
            self._leave_network(entry, is_told=False)
            entry.down.append((now, True))
            self.pump(now)

    # ---- up

    def send(self, entry: ModuleSocket, data: bytes, now: float, done: Callable[[bool, float], None]) -> None:
        """Hand ``data`` to the stack and call ``done(is_ok, now)`` once it has taken it, in time for 5 s in all."""
        patience = max(0.0, ROOM_TIMEOUT - self._module.options.send_delay)
        self._try_send(entry, data, now, now + patience, done)

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
        return entry.service != "TCP" or self._unacknowledged(entry, now) + size <= self._module.options.send_buffer

    def can_send(self, entry: ModuleSocket) -> bool:
        """The stack would take data for this socket."""
        return entry.is_connected and self.table.get(entry.socket_id) is entry and self._module.has_address

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
            if entry.sent - self._unacknowledged(entry, at) < sent:
                self.break_one(entry, at)

        self._module.timers.add(now + limit, check)

    def _land(self, entry: ModuleSocket, data: bytes, now: float) -> None:
        entry.on_air_up -= len(data)
        if entry.has_network and not entry.is_forgotten:
            self._module.network.send(entry.handle, data, now)
            entry.delivered += len(data)
            entry.acknowledgements.append((now + self._module.radio.half, entry.delivered))
        self._finish_when_empty(entry)

    def _unacknowledged(self, entry: ModuleSocket, now: float) -> int:
        """Return what the module thinks is not acknowledged: news of the peer's ACK takes half the latency."""
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
        waiting = self._unacknowledged(entry, now)
        return entry.sent, entry.sent - waiting, waiting

    # ---- down

    def handle(self, event: NetworkEvent, now: float) -> None:
        """Take an event of the network; it reaches the module half the latency later."""
        entry = self._by_handle.get(event.handle)
        if entry is None:
            return
        if isinstance(event, Opened):
            delay = self._module.radio.half if entry.service == "TCP" else 0.0
            self._module.timers.add(now + delay, lambda at: self.opened(entry, event.result, at))
            return
        if self._module.saving.is_unreachable(now):
            self._module.saving.hold(event)
            return
        self._module.saving.traffic(now)
        if isinstance(event, Arrived):
            self._arrived(entry, event.data, now)
        elif not entry.is_forgotten:
            self._put_down(entry, event.is_reset, 0, now)

    def _arrived(self, entry: ModuleSocket, data: bytes, now: float) -> None:
        if entry.is_forgotten or (entry.service == "UDP" and (self._module.radio.is_lost() or self._module.is_asleep)):
            return
        entry.last_active = now
        self._put_down(entry, data, len(data), now)
        if entry.on_air_down > RECEIVE_WINDOW:
            self._module.network.set_receiving(entry.handle, False)

    def _put_down(self, entry: ModuleSocket, item: bytes | bool, size: int, now: float) -> None:
        due = self._module.radio.schedule("down", size, now)
        entry.on_air_down += size
        entry.down.append((due, item))
        if due > now:
            self._module.timers.add(due, self.pump)

    def has_ready(self, now: float) -> bool:
        """Something has arrived that was not reported yet."""
        return any(self._is_ready(entry, now) for entry in (*self.table.values(), *self._tails))

    @staticmethod
    def _is_ready(entry: ModuleSocket, now: float) -> bool:
        if entry.tail_at is not None:
            return bool(entry.down) and now >= entry.tail_at
        is_reported = entry.state in (SocketState.CONNECTED, SocketState.REMOTE_CLOSING)
        return is_reported and bool(entry.down) and entry.down[0][0] <= now

    def pump(self, now: float) -> None:
        """Report what has arrived, one report a socket in turn, while the line has room."""
        while self._module.can_report:
            entry = self._next_ready(now)
            if entry is None:
                return
            self._report(entry, now)

    def _next_ready(self, now: float) -> ModuleSocket | None:
        for step in range(MAX_SOCKETS):
            entry = self.table.get((self._turn + step) % MAX_SOCKETS)
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
        head, rest = item[:MAX_REPORT_SIZE], item[MAX_REPORT_SIZE:]
        if rest:
            entry.down.appendleft((due, rest))
        entry.received += len(head)
        entry.late += len(head) if entry.is_answered else 0
        entry.on_air_down -= len(head)
        if entry.has_network and entry.on_air_down <= RECEIVE_WINDOW // 2:
            self._module.network.set_receiving(entry.handle, True)
        if entry in self._tails and not entry.down:
            self._tails.remove(entry)
        self._module.report_data(entry.socket_id, head, now)

    def _report_close(self, entry: ModuleSocket, is_reset: bool, now: float) -> None:
        options = self._module.options
        entry.is_reset = is_reset
        is_orderly = options.after_closed == "remote" or (options.after_closed == "manual" and not is_reset)
        entry.state = SocketState.REMOTE_CLOSING if is_orderly else SocketState.INITIAL
        if entry.down:
            entry.tail_at = now + (options.closed_first or 0.0)
            self._module.timers.add(entry.tail_at, self.pump)
        for _ in range(1 + options.closed_twice):
            self._module.urc(f'+QIURC: "closed",{entry.socket_id}', now)
        if options.after_closed in ("forgotten", "error"):
            self._drop_closed(entry, now)

    def _drop_closed(self, entry: ModuleSocket, now: float) -> None:
        """Have no such socket any more; what was sent still goes out, and what came before the close is reported."""
        if entry.down:
            self._tails.append(entry)
        entry.is_finishing = True
        self._finish_when_empty(entry, was_open=not entry.is_reset)
        self._remove(entry, now)

    def answer_close(self, socket_id: int) -> None:
        """AT+QICLOSE was answered for a socket that was forgotten."""
        for entry in self._tails:
            entry.is_answered |= entry.socket_id == socket_id
