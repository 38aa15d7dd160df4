"""The table of the modem's five sockets: how they open and close, which states they have, which local ports they hold.

What a socket has on its way is carried by ``_sockets.py``.

Reading of the manual's socket states (BC260Y-CN TCP/IP guide 1.1 §2.3.4): 1 while connecting, 2 connected, 3 from
AT+QICLOSE to CLOSE OK, 4 after the peer's FIN, 0 after a failed open and after a reset. An entry stays until
AT+QICLOSE. Other firmware gives other states after a close, or forgets the entry: see the option ``after_closed``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ._hosts import LoopbackTarget
from ._network import Arrived, NetworkEvent, Opened
from ._sockets import Downlink, ManualSocketState, ModuleSocket, Uplink

if TYPE_CHECKING:
    from ._module import Module

#: How often AT+QICLOSE looks whether all data that came before the peer's close are reported.
_TAIL_INTERVAL = 0.01


class Sockets:
    """The table: opens, closes and loses its entries, and takes the network's events for them."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self.table: dict[int, ModuleSocket] = {}
        self._by_handle: dict[int, ModuleSocket] = {}
        self._handles = itertools.count(1)
        self._held_ports: dict[int, float] = {}
        self._totals: dict[int, tuple[int, int]] = {}
        self.uplink = Uplink(module, self)
        self.downlink = Downlink(module, self)

    # ---- open

    @property
    def is_opening(self) -> bool:
        """An AT+QIOPEN waits for its outcome."""
        return any(entry.state is ManualSocketState.CONNECTING for entry in self.table.values())

    @property
    def is_moving(self) -> bool:
        """A socket opens or closes, or has data on the air."""
        passing = (ManualSocketState.CONNECTING, ManualSocketState.CLOSING)
        return any(entry.state in passing or entry.on_air_up > 0 or entry.down for entry in self.table.values())

    def by_handle(self, handle: int) -> ModuleSocket | None:
        """Return the entry that has this connection of the network."""
        return self._by_handle.get(handle)

    def add_orphan(self, socket_id: int, service: str) -> None:
        """Add a socket that a host of earlier times left open."""
        entry = ModuleSocket(socket_id, service, "203.0.113.9", 7, 0, next(self._handles))
        entry.state = ManualSocketState.CONNECTED
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
        access_mode: int = 1,
    ) -> None:
        """Begin to connect; the id must be free. ``is_mute``: the outcome is not told."""
        entry = ModuleSocket(socket_id, service, host, remote_port, local_port, next(self._handles))
        entry.is_mute = is_mute
        entry.access_mode = access_mode
        entry.last_active = now
        self.table[socket_id] = entry
        if self._module.life.lacks_apn:
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
        if self.table.get(entry.socket_id) is not entry or entry.state is not ManualSocketState.CONNECTING:
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

    def _open_network(self, entry: ModuleSocket, target: LoopbackTarget | str, now: float) -> None:
        if self._by_handle.get(entry.handle) is entry:
            self._module.network.open(entry.handle, entry.service, target, entry.local_port, now)

    def opened(self, entry: ModuleSocket, result: int, now: float) -> None:
        """Report the outcome of an open."""
        if self.table.get(entry.socket_id) is not entry or entry.state is not ManualSocketState.CONNECTING:
            return
        if entry.timer is not None:
            entry.timer.cancel()
        entry.state = ManualSocketState.CONNECTED if result == 0 else ManualSocketState.INITIAL
        if result:
            self._leave_network(entry, is_told=True)
        if not entry.is_mute:
            self._module.output.urc(f"+QIOPEN: {entry.socket_id},{result}", now)

    # ---- close

    def close(self, entry: ModuleSocket, now: float) -> None:
        """Deliver what was sent, then FIN; CLOSE OK comes after ``close_delay``."""
        if entry.timer is not None:
            entry.timer.cancel()
        was_open = entry.state is not ManualSocketState.CONNECTING and not entry.is_reset
        entry.state = ManualSocketState.CLOSING
        if entry.tail_at is None:
            entry.down.clear()
        else:
            entry.tail_at = now  # what it has yet to report comes before CLOSE OK
        entry.is_finishing = True
        self.finish_when_empty(entry, was_open)
        self._at(entry, now + self._module.options.close_delay, lambda at: self._closed(entry, at))

    def finish_when_empty(self, entry: ModuleSocket, was_open: bool = True) -> None:
        """Close towards the network, in order, once everything that was sent is through."""
        if entry.is_finishing and (entry.on_air_up == 0 or not was_open):
            self._leave_network(entry, is_told=True)

    def _closed(self, entry: ModuleSocket, now: float) -> None:
        if entry.down and entry.tail_at is not None:
            self._at(entry, now + _TAIL_INTERVAL, lambda at: self._closed(entry, at))
            return
        self._remove(entry, now)
        self._module.output.urc("CLOSE OK", now)

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
        self.downlink.lose(services)
        for entry in [entry for entry in self.table.values() if entry.service in services]:
            if entry.timer is not None:
                entry.timer.cancel()
            entry.down.clear()
            entry.on_air_up = 0
            self._leave_network(entry, is_told=False)
            self._remove(entry, now)

    def forget(self, entry: ModuleSocket, state: int | None, now: float) -> None:
        """Lose a socket and tell nobody: no entry is left, or one in this state. What is on the air arrives."""
        if entry.state is ManualSocketState.CONNECTED:
            entry.down.clear()
            entry.is_finishing = True
            self.finish_when_empty(entry)
            if state is None:
                self._remove(entry, now)
            else:
                entry.state = ManualSocketState(state)

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
            if entry.state is ManualSocketState.CONNECTING:
                self.opened(entry, 570, now)
            elif entry.service == "TCP":
                self.break_one(entry, now)

    def break_one(self, entry: ModuleSocket, now: float) -> None:
        """The network broke this TCP connection."""
        if entry.state in (ManualSocketState.CONNECTED, ManualSocketState.REMOTE_CLOSING):
            self._leave_network(entry, is_told=False)
            entry.down.append((now, True))
            self.downlink.pump(now)

    def drop_closed(self, entry: ModuleSocket, now: float) -> None:
        """Have no such socket any more; what was sent still goes out."""
        entry.is_finishing = True
        self.finish_when_empty(entry, was_open=not entry.is_reset)
        self._remove(entry, now)

    # ---- the network

    def handle(self, event: NetworkEvent, now: float) -> None:
        """Take an event of the network; it reaches the modem half the latency later."""
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
            self.downlink.arrived(entry, event.data, now)
        elif not entry.is_forgotten:
            self.downlink.put_down(entry, event.is_reset, 0, now)
