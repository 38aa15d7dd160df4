"""The world of one plan: driver, line, module, network, applications and peers under one virtual clock.

Exceptions to the promise that are made here, each where it is needed and with its reason in docs/reliability.md:
``garbled`` payload bytes, ``spoilers`` of the peers of raw data-mode sends, ``_unseen_at`` for payload whose length
tells nothing. What the application is told of as cut short needs a reason: that it is so in the module or the network,
or a cause (``causes``) that touches this connection and has not been over for long.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from errno import EADDRINUSE, EMFILE, ENOENT, ETIMEDOUT
from itertools import count
from random import Random
from typing import Any

from nbsocket import _driver
from nbsocket._driver import Driver
from nbsocket._driver._settings import COMMON_RATES
from nbsocket._errors import make_error
from nbsocket.sim import Fault, ModelConnection, ModelNetwork, Module
from nbsocket.sim._faults import byte_filter
from nbsocket.sim._hosts import LoopbackTarget as Target
from nbsocket.sim._sockets import MAX_SOCKETS
from tests.simulation.causes import HARMLESS_RE, LASTING, OPENING_LASTING, OWNED_RE, Causes, contained_socket
from tests.simulation.connections import FIRST_PORT, Connection, Peer, Violation
from tests.simulation.insight import Insight
from tests.simulation.plan import Plan, Step
from tests.simulation.requests import Requests

#: Rounds at one moment, and commands at one moment, that mean that something runs in circles.
MOST_ROUNDS, MOST_COMMANDS = 200_000, 3_000

#: Seconds that nothing may take longer than: waits for the network and the turns of other openings included.
CONNECT_BOUND = 2 * 65.0 * 6 + 120.0
CLOSE_BOUND = 240.0

#: Results that say something of a name: it is unknown, or is none.
NAME_RESULTS = (552, 565)

#: Faults that must cost neither a connection nor a byte: what they stop goes on.
FLOW_CONTROL = frozenset({"full", "refuse", "slow", "mute"})

#: Seconds without new steps after which everything has had its chance.
SETTLE_TIME = 400.0

#: Where sockets lead that the user opens by commands.
RAW_PORT = 900

#: Most bytes that the driver may keep of what the module says: a line, or a payload in hex, and change.
MOST_BUFFERED = 90_000

_RESULT_RE = re.compile(
    rb"\r\n(?:OK|ERROR|SEND OK|SEND FAIL|CLOSE OK|\+CME ERROR: \d+|\+QIOPEN: \d,\d+)\r\n\Z",
)
_OPEN_RE = re.compile(r'AT\+QIOPEN=[01],(\d),"(?:TCP|UDP)","[^"]*",(\d+)')


@dataclass
class Report:
    """What a run came to."""

    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    bytes_up: int = 0
    bytes_down: int = 0
    datagrams: int = 0
    connections: int = 0
    resets: int = 0
    #: Sockets that the module still had open in the end, which only happens after faults.
    left_open: int = 0
    #: Text payloads whose damage looked sound (docs/reliability.md).
    unnoticed: int = 0
    virtual_seconds: float = 0.0
    #: Seconds from a fault to the module's being at work again, by kind.
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    #: Tries that the operations after the faults needed.
    tries: Counter[int] = field(default_factory=Counter)


@dataclass
class _Disturbance:
    """Something that may stop the module's work for a while."""

    at: float
    kind: str
    has_stopped: bool = False


class World:
    """Carries out a plan; :meth:`run` raises :class:`Violation`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 1000.0
        self.report = Report()
        self.trace: deque[tuple[float, str, Any]] = deque(maxlen=5000)
        self.network = ModelNetwork()
        self.module = Module(plan.module_options, self.network, self.now)
        self.driver = Driver(plan.settings)
        self.inside = Insight(self.driver)
        self._host_rate = 115200
        self.requests = Requests(self)
        self.connections: dict[int, Connection] = {}
        self._start = self.now
        self._random = Random(plan.seed ^ 0x5EED)
        self._by_key: dict[int, Connection] = {}
        self._by_id: dict[int, Connection] = {}
        self._is_port_open = False
        #: What the module has said and the host has not read: (time of arrival, bytes).
        self._line: deque[tuple[float, bytes]] = deque()
        self._filters: dict[str, list[tuple[Fault, Callable[[bytes], tuple[bytes, bool]]]]] = {"up": [], "down": []}
        #: Lines that are still to come twice.
        self._doubles = 0
        self.garbled = {"up": 0, "down": 0}
        self._shifts: dict[str, list[float]] = {"up": [], "down": []}
        #: When received payload was hurt in a way that its framing need not show: text, whose own bytes may look like
        #: its end; hex digits of which as many were made up as lost.
        self._unseen_at = float("-inf")
        #: How received data come was known when the driver got the last bytes: see ``_is_own_doing``.
        self._is_format_known = True
        #: Something was taken for lost data while it was not: a datagram, perhaps.
        self._has_doubted = False
        self.causes = Causes()
        #: The faults that have kept the module from sending.
        #: When a send was last met that the module is slow at: its SEND OK is owed.
        self._owed_at = float("-inf")
        self._stalls: list[Fault] = []
        #: A stray SEND OK came while one was owed: each may be taken for the next one's.
        self._outcomes_shifted = False
        #: Numbers of the UDP connections whose socket the module has lost at some time: what their peers sent then.
        self._forgotten: set[int] = set()
        #: The line that each side is at.
        self._unended = {"up": b"", "down": b""}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._commands_seen = 0
        self._commands_now: tuple[float, int] = (0.0, 0)
        self._faults_seen = 0
        self._peers_seen = 0
        self._broken: list[_Disturbance] = []
        self._last_send: Connection | None = None
        #: What may have left a socket open in the module.
        self._left_behind = 0
        #: Look-ups that were told something of the name that need not be true.
        self.names_refused = 0

    # -- the run

    def run(self) -> Report:
        """Carry the plan out, settle, and see that everything works and is at rest."""
        if not self.plan.module_options.attached:
            self.module.power_on(self.now)
        self._open_port()
        for step in self.plan.steps:
            self._at(self._start + step.at, lambda step=step: self._take(step))  # type: ignore[misc]  # bound now
        self._run_until(self._start + max((step.at for step in self.plan.steps), default=0.0) + 1.0)
        self._end_faults()
        self._run_until(self.now + SETTLE_TIME)
        self._check_complete()
        self._close_all()
        self._check_works()
        self._check_rest()
        self._check_stop()
        self.report.virtual_seconds = self.now - self._start
        return self.report

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (moment, next(self._numbers), action))

    def _take(self, step: Step) -> None:
        self.report.steps += 1
        self._note("step", step)
        getattr(self, f"do_{step.verb}")(**step.arguments)

    def _note(self, mark: str, what: Any) -> None:
        self.trace.append((self.now, mark, what))

    def _run_until(self, end: float) -> None:
        while True:
            self._exchange()
            moment = self._next_moment()
            if moment is None or moment > end:
                break
            self.now = max(self.now, moment)
            while self._heap and self._heap[0][0] <= self.now:
                heapq.heappop(self._heap)[2]()
                self._exchange()
            due = self.driver.next_deadline() if self._is_port_open else None
            if due is not None and due <= self.now:
                self.driver.handle_timeout(self.now)
        self.now = max(self.now, end)

    def _next_moment(self) -> float | None:
        moments = [self.module.next_deadline(), self._heap[0][0] if self._heap else None]
        if self._is_port_open:
            moments.append(self.driver.next_deadline())
            moments.append(self._line[0][0] if self._line else None)
        return min((moment for moment in moments if moment is not None), default=None)

    def _exchange(self) -> None:
        """Move bytes and events until nothing moves at this moment."""
        for _ in range(MOST_ROUNDS):
            moved = self._move_up()
            while (event := self.driver.next_event()) is not None:
                self._handle(event)
                moved = True
            moved |= self._move_down()
            if not moved:
                break
        else:
            raise Violation("spin", "bytes or events without end at one moment")
        self._check_step()

    # -- the line

    def _move_up(self) -> bool:
        data = self.driver.data_to_send()
        if not data:
            return False
        self._note(">>", data)
        self._watch_sends(data)
        self._count_commands()
        data = self._filtered(data, "up")
        pending = self.inside.pending
        if pending is None or pending.payload is None:
            self._spoil_data_mode()
        if self._is_port_open:
            self.module.receive_data(data, self.now)
            self._watch_faults()
        return True

    def _move_down(self) -> bool:
        data = self.module.data_to_send(self.now)
        self._watch_faults()
        if data and self._is_port_open:
            self._cut(self._filtered(self._doubled(data), "down"))
        if not self._line or self._line[0][0] > self.now:
            return bool(data)
        _, piece = self._line.popleft()
        self._note("<<", piece)
        self._is_format_known = self.inside.knows_format
        self.driver.receive_data(piece, self.now)
        return True

    def _doubled(self, data: bytes) -> bytes:
        """Say a result or an outcome twice, which excuses nothing."""
        last_line = _RESULT_RE.search(data) if self._doubles else None
        if last_line is None:
            return data
        self._doubles -= 1
        self._note("!!", "doubled")
        self.report.faults["answer: doubled"] += 1
        return data + last_line[0]

    def _cut(self, data: bytes) -> None:
        """Put what the module says on the line in pieces, as a serial port may give them."""
        cut, arrival = self.plan.cut, max(self.now, self._line[-1][0] if self._line else 0.0)
        if cut == "whole" or (cut == "bytes" and len(data) > 3000):
            self._line.append((arrival, data))
            return
        start = 0
        while start < len(data):
            size = 1 if cut == "bytes" else self._random.choice((1, 2, 3, 7, 16, 64, 500))
            if cut == "slow":
                arrival += self._random.choice((0.0, 0.001, 0.001, 0.01))
            self._line.append((arrival, data[start : start + size]))
            start += size

    def _filtered(self, data: bytes, direction: str) -> bytes:
        """What becomes of the bytes on the line."""
        sent = data
        for item in tuple(self._filters[direction]):
            data = self._filter(item, data, direction)
        end = b"\n" if direction == "down" else b"\r"
        self._unended[direction] = (self._unended[direction] + sent).rpartition(end)[2][-4000:]
        return data

    def _filter(self, item: tuple[Fault, Callable[[bytes], tuple[bytes, bool]]], data: bytes, direction: str) -> bytes:
        fault, change = item
        changed, is_done = change(data)
        if is_done:
            self._filters[direction].remove(item)
        if changed != data:
            self._note("!!", f"{fault.action} {direction}")
            self.report.faults[f"bytes: {fault.action}"] += 1
            self._left_behind += direction == "up" or self._asks_for_orphans()
            self.causes.add(self.now, f"{fault.action} {direction}", self._hurt(fault, data, changed, direction))
            if fault.action == "garble":
                self.garbled[direction] += fault.size
            elif direction == "down" and (not self.plan.settings.is_hex or self._is_balanced(fault, direction)):
                self._unseen_at = self.now
            elif direction == "up" and self._is_balanced(fault, direction) and self._last_send is not None:
                self._last_send.spoilers.add("unseen")
            elif direction == "up" and not self.plan.settings.is_hex and self._last_send is not None:
                # Bytes lost or made up in a raw payload, or in the length before it, are not seen by the module.
                self._last_send.spoilers.add("unseen")
            elif direction == "up" and b"\r" in fault.data and self._last_send is not None:
                # A send cut in two may be a data-mode send of the very bytes that were announced.
                self._last_send.spoilers.add("unseen")
        return changed

    def _asks_for_orphans(self) -> bool:
        pending = self.inside.pending
        return pending is not None and pending.line == "AT+QISTATE?"

    def _hurt(self, fault: Fault, data: bytes, changed: bytes, direction: str) -> Connection | None:
        """Whose bytes they certainly were; None: anybody's."""
        if not self.plan.settings.is_hex:
            return None
        line = self._unended[direction]
        if direction == "down":
            socket_id = contained_socket(fault, line, data, changed)
            return None if socket_id is None else self._by_id.get(socket_id)
        if self.module.is_echoing:
            return None  # what the module has heard wrongly comes back so, and looks like what is left of received data
        return self._owner((line + data).decode("latin-1"))

    def _owner(self, line: str) -> Connection | None:
        """The connection that a command is about."""
        opening = _OPEN_RE.search(line)
        if opening is not None:
            return self.connections.get(int(opening[2]) - FIRST_PORT)
        match = OWNED_RE.search(line)
        return None if match is None else self._by_id.get(int(next(filter(None, match.groups()))))

    def _is_balanced(self, fault: Fault, direction: str) -> bool:
        """Whether as many bytes may have been lost as made up, within one line."""
        self._shifts[direction] = [at for at in self._shifts[direction] if self.now < at + 5.0] + [self.now]
        return len(self._shifts[direction]) > 1

    def _watch_sends(self, data: bytes) -> None:
        # A question about another connection may become payload of a send that was denied and is under way.
        if data.startswith(b"AT+QISEND") and not data.startswith(b",0\r", len(b"AT+QISEND=0")):
            self._last_send = self._owner(data[:40].decode("latin-1"))
            if self._last_send is not None:
                self._last_send.sent_now(self._received_before(self._last_send))

    def _count_commands(self) -> None:
        moment, number = self._commands_now
        self._commands_now = (self.now, number + 1 if moment == self.now else 1)
        if self._commands_now[1] > MOST_COMMANDS:
            raise Violation("spin", "commands without end at one moment")

    # -- what the module meets

    def _watch_faults(self) -> None:
        """See which connection a command belongs to, and whose fault was met."""
        self._adopt_peers()
        total = self.module.command_count
        for back in range(min(total - self._commands_seen, len(self.module.commands)), 0, -1):
            match = _OPEN_RE.search(self.module.commands[-back])
            if match is not None and int(match[2]) == RAW_PORT:
                # The user opens a socket that is not free now: nobody closes it before its id is wanted.
                self._left_behind += int(match[1]) not in self.inside.claimed_ids
            if match is not None and int(match[2]) - FIRST_PORT in self.connections:
                self._by_id[int(match[1])] = self.connections[int(match[2]) - FIRST_PORT]
            elif match is not None and self._is_users_own(int(match[1])):
                self._by_id.pop(int(match[1]), None)
        self._commands_seen = total
        met = self.module.met_faults
        for moment, fault, line in list(met):
            self._note("!!", f"{fault.action} at {line[:40]}")
            self.report.faults[f"answer: {fault.action}"] += 1
            self._blame(moment, fault, line)
        met.clear()

    def _is_users_own(self, socket_id: int) -> bool:
        entry = self.module.sockets.table.get(socket_id)
        return entry is not None and entry.remote_port == RAW_PORT

    def _blame(self, moment: float, fault: Fault, line: str) -> None:
        text = f"{fault.action} at {line[:30]}"
        self.names_refused += "QIDNSGIP" in line and fault.code in NAME_RESULTS
        if fault.action in FLOW_CONTROL and OWNED_RE.search(line) is not None:
            if not any(other is fault for other in self._stalls):
                self._stalls.append(fault)
            if fault.action == "slow":
                self._owed_at = moment
            return
        self._left_behind += line.startswith(("AT+QICLOSE", "AT+QISTATE?")) or f",{RAW_PORT}" in line
        if self.plan.module_options.strict and fault.action == "error" and fault.is_carried_out:
            self._left_behind += 2  # taken for free, it refuses every close for a while
        if OWNED_RE.search(line) is None:
            # A BC66 opens by address: what happens to a look-up happens to an opening by name.
            is_opening = "QIDNSGIP" in line and self.module.options.model == "bc66"
            if is_opening or not HARMLESS_RE.search(line):
                self.causes.add(moment, text)
            return
        owner = self._owner(line)
        if owner is not None:
            self.causes.add(moment, text, owner)
        if fault.action.startswith(("silence", "late")):
            self._broken.append(_Disturbance(moment, "answer lost or late"))

    def _received_before(self, link: Connection) -> int:
        """How often it has received something that the driver has told of and nobody has looked at yet."""
        return self.inside.received_before(link.key)

    def _disturbed(self, kind: str) -> None:
        self.report.faults[kind] += 1
        self.causes.add(self.now, kind)
        self._broken.append(_Disturbance(self.now, kind))

    # -- what the driver tells

    def _handle(self, event: _driver.Event) -> None:
        if isinstance(event, _driver.Log):
            self._note("log", event.message)
            self._has_doubted |= event.message.startswith("bytes were lost") and not self._is_format_known
            return
        self._note("event", event)
        if isinstance(event, _driver.SetBaudrate):
            self._set_rate(event.rate)
        elif isinstance(event, (_driver.RequestDone, _driver.RequestFailed)):
            self.requests.handle(event)
        elif type(event) in _HANDLERS:
            link = self._by_key.get(event.key)  # type: ignore[union-attr]  # those have one
            if link is None:
                raise Violation("order", f"an event for a connection that nobody has: {event}")
            _HANDLERS[type(event)](self, link, event)

    def _set_rate(self, rate: int) -> None:
        limit = self.plan.port_limit
        if limit is not None and rate > limit:
            self.driver.baudrate_refused(rate, self._host_rate)
            return
        self._host_rate = rate
        if self.plan.module_options.strict_baud:
            self.module.set_host_rate(rate)
            self.causes.add(self.now, "rate changed")

    def _connected(self, link: Connection, event: _driver.Connected) -> None:
        # Datagrams that were written before it was closed still go out.
        is_closed = link.told == ["open", "finished"] and not link.is_tcp
        if link.told != ["open"] and not is_closed:
            raise Violation("order", f"{link} is connected")
        if not link.peers:
            self._connected_astray(link)
        link.told.append("connected")
        link.due = self.now + link.linger + CLOSE_BOUND if is_closed else None
        link.peer = link.peers[-1]
        self.report.connections += 1
        if link.ready:
            self.driver.data_available(link.key, link.ready, self.now)

    def _connected_astray(self, link: Connection) -> None:
        if not self.causes.has(" up$|^stray", self.now):
            raise Violation("order", f"{link} is connected to nobody")
        link.peers.append(Peer(link, ModelConnection(self.network, 0, link.service, Target("", 0), 0)))
        link.spoilers.add("unseen")
        link.is_spoiled = link.is_misread = True

    def _connect_failed(self, link: Connection, event: _driver.ConnectFailed) -> None:
        if link.is_("connected", "failed", "aborted", "ended"):
            raise Violation("order", f"{link} failed to connect")
        link.told.append("failed")
        link.due = None
        del self._by_key[link.key]
        has_no_socket = event.error.errno == EMFILE and self._has_waited_for_socket(link)
        has_cause = self.causes.excuse(link, self.now, OPENING_LASTING)
        is_excused = has_no_socket or has_cause or self._may_time_out(link)
        # A radio that has more to send first than goes through in the time that the module gives an opening.
        is_excused |= bool(self.plan.module_options.radio_rate) and event.error.errno == ETIMEDOUT and not link.peers
        # The module has lost the socket while it was opened, and keeps its port busy.
        is_excused |= event.error.errno == EADDRINUSE and bool(link.local_port) and link.number in self._forgotten
        # The peer has ended it before the module told that it was there.
        is_excused |= any(peer.ended or peer.link.is_vanished for peer in link.peers)
        if link.manner not in ("refuse", "silent") and not is_excused:
            raise Violation("isolation", f"{link} failed to connect for no reason: {event.error}")

    def _has_waited_for_socket(self, link: Connection) -> bool:
        patience = self.plan.settings.wait_for_socket
        earlier = [other for other in self._by_key.values() if other.key < link.key]
        return 0 < patience <= self.now - link.opened_at + 1e-6 and self._busy_sockets(earlier) >= MAX_SOCKETS

    def _busy_sockets(self, links: Iterable[Connection]) -> int:
        """How many sockets these and the user's own have, those that are about to be free left out."""
        busy = sum(not link.is_("finished", "aborted", "closed", "reset") for link in links)
        return busy + len(self.inside.claimed_ids)

    @property
    def may_attach_late(self) -> bool:
        """Whether the network may not be there when it must be."""
        options = self.plan.module_options
        needed = options.attach_delay + options.boot_time + 40 * options.answer_delay
        needed += options.address_delay + options.sim_busy + options.cfun_time
        if options.deaf_time:  # each command has to wait, and AT+CFUN=1 may be given twice
            needed += 100.0 * options.deaf_time + options.cfun_time
        needed += options.orphans * options.close_delay + (12.0 if options.results == "none" else 0.0)
        if any(link.manner == "flood" for link in self.connections.values()):
            needed += 10 * 2 * 1100 * 10 / (self.module.uart.rate or 115200)  # each answer waits behind a report
        return needed > self.plan.settings.attach_timeout - 15.0

    def _may_time_out(self, link: Connection) -> bool:
        """Whether the network could be too slow for it, or its port be busy."""
        options = self.plan.module_options
        if options.radio_rate and options.connect_timeout < 60.0:
            return True
        return self.may_attach_late or 2 * options.latency + options.answer_delay > options.connect_timeout

    def _data_received(self, link: Connection, event: _driver.DataReceived) -> None:
        self.report.bytes_down += len(event.data)
        try:
            link.received(event.data, self.garbled["down"])
        except Violation as violation:
            if violation.kind == "order" or self.now > self._unseen_at + 5.0:
                raise
            self.report.unnoticed += 1
            link.is_misread = True

    def _peer_closed(self, link: Connection, event: _driver.PeerClosed) -> None:
        if not link.is_usable and not link.is_("halved"):
            raise Violation("order", f"{link} is closed by the peer")
        link.told.append("closed")
        assert link.peer is not None
        self._check_end(link, link.peer)
        link.owed, link.closed_at = link.written, self.now
        if link.taken < link.written:
            raise Violation("eof", f"{link}: a clean end with {link.written - link.taken} bytes never sent")

    def _check_end(self, link: Connection, peer: Peer) -> None:
        """A clean end: everything that the module told of was delivered, and nothing is known to be lost upwards.

        The module says "closed" for a FIN, a reset and a fault of the network alike. Where nothing is outstanding the
        latter two are told as a clean end, and the peer may have had more to send.
        """
        is_orderly = peer.ended == "fin" and not peer.link.is_vanished
        if not (peer.ended or peer.link.is_vanished):
            raise Violation("eof", f"{link}: a clean end that nobody made")
        due = peer.sent - peer.too_late_down if is_orderly else peer.told_down
        if link.read < due and not link.is_misread:
            raise Violation("eof", f"{link}: a clean end after {link.read} of {due} bytes")
        # One that says "remote closing" for every end is believed where it has no count of bytes any more.
        is_told_orderly = self.plan.module_options.after_closed == "remote"
        got = len(peer.link.received)
        if not (is_orderly or is_told_orderly or link.has_heard) and got < link.written:
            raise Violation("eof", f"{link}: a clean end, {got} of {link.written} bytes arrived and none was answered")

    def _reset(self, link: Connection, event: _driver.ConnectionReset) -> None:
        if not link.is_("connected") or link.is_("closed", "reset", "finished", "aborted"):
            raise Violation("order", f"{link} is reset")
        link.told.append("reset")
        self.report.resets += 1
        self._check_reset(link, event.error)

    def _check_reset(self, link: Connection, error: OSError) -> None:
        if not (self._is_lost(link) or self.causes.excuse(link, self.now) or self._is_own_doing(link, error)):
            raise Violation("isolation", f"{link} was reset for no reason: {error}")

    def _is_lost(self, link: Connection) -> bool:
        """Whether the module or the network has it no more, or the peer has ended it."""
        peer = link.peer
        if peer is None:
            return False
        if link.number in self._forgotten and not link.is_tcp:
            return True
        # An orderly end is no reason for a reset where all was answered.
        is_whole = peer.ended == "fin" and link.has_heard and len(peer.link.received) >= link.written
        is_cut = peer.link.is_vanished or peer.is_forgotten or link.number in self._forgotten
        return bool((peer.ended and not is_whole) or is_cut)

    def _is_own_doing(self, link: Connection, error: OSError) -> bool:
        """Whether it is what this peer, or this application, was bound to get."""
        assert link.peer is not None
        # What is not acknowledged fills the module's send buffer, which then takes nothing.
        is_unacknowledged = "acknowledged nothing" in str(error) or "took no data" in str(error)
        if link.peer.has_been_deaf and is_unacknowledged:
            return True
        # Several stalls in a row may last longer than the application's TCP_USER_TIMEOUT, which is 20 s at the least.
        # So may a send that was ignored: until no outcome can come, and one of them.
        ignored = 20.0 if self.plan.module_options.deaf_time else 0.0
        if "took no data" in str(error) and ignored + sum(fault.delay for fault in self._stalls) >= 20.0:
            return True
        if link.is_("halved") and error.errno == ETIMEDOUT and "SHUT_WR" in str(error):
            return True
        # Text without quotes that itself begins and ends with one, before this module has shown how it puts payload.
        is_taken_for_quoted = not (self.plan.settings.is_hex or self.plan.module_options.quoted_payload)
        if is_taken_for_quoted and "bytes were lost" in str(error):
            return True
        # A hurt AT+QIOPEN has opened another one, or a stray line was taken for its outcome.
        if link.is_misread and re.search(r"no such connection|AT\+QIOPEN|acknowledged nothing", str(error)):
            return True
        # A command of the user's, such as ATZ, may have changed the format, and until the module is asked what is hurt,
        # or looks like the rest of received data, may be text: then it is anybody's.
        if "bytes were lost" in str(error) and not self._is_format_known:
            return True
        # SEND OK names no socket. While the module owes one, because it gave none to another connection's send, that of
        # this one may be the other's; and with "closed" the count is gone that would tell.
        is_owed = self.causes.has(r"^(silence|late)\w* at AT\+QISEND(EX)?=\d,[1-9]", self.now)
        if "data on its way" in str(error) and (is_owed or self.now <= self._owed_at + LASTING):
            return True
        # A slow radio that has more to send than goes through in the time that the application gives it; and the news
        # that what it has sent is acknowledged may be on its way yet.
        options = self.plan.module_options
        is_far = bool(options.radio_rate) and options.latency >= 6.0
        return is_unacknowledged and (link.peer.is_on_the_air or is_far)

    def _ended(self, link: Connection, event: _driver.ConnectionEnded) -> None:
        if link.is_("ended", "failed"):
            raise Violation("order", f"{link} has ended again")
        if not link.is_("closed", "reset", "finished", "aborted"):
            # A datagram connection has no other end than this.
            if link.is_tcp:
                raise Violation("order", f"{link} ended and the application was not told why")
            if not (self._is_lost(link) or self.causes.excuse(link, self.now)):
                raise Violation("isolation", f"{link} ended for no reason")
        link.told.append("ended")
        link.due = None
        del self._by_key[link.key]

    # -- checks

    def _check_step(self) -> None:
        for link in self.connections.values():
            link.check_peers(self.garbled["up"])
            if link.due is not None and self.now > link.due:
                raise Violation("hang", f"{link}: nothing came of it until now")
        self.requests.check()
        self._check_recovery()
        size = self.inside.buffered_size
        if size > MOST_BUFFERED:
            raise Violation("growth", f"{size} bytes of the module's are kept")

    def _check_recovery(self) -> None:
        """Take the time from a fault that stopped the module's work to the work's going on."""
        if not self._broken:
            return
        is_working = self.inside.is_working
        for disturbance in tuple(self._broken):
            disturbance.has_stopped |= not is_working
            if disturbance.has_stopped and is_working:
                self.report.recoveries.append((disturbance.kind, self.now - disturbance.at))
            elif self.inside.has_failed or (not disturbance.has_stopped and self.now > disturbance.at + 60.0):
                pass  # it waits for somebody to want it, or nothing had to be done
            else:
                continue
            self._broken.remove(disturbance)

    def _end_faults(self) -> None:
        """From now on nothing goes wrong."""
        self._note("step", "no more faults")
        self.module.clear_faults()
        self._doubles = 0
        for filters in self._filters.values():
            filters.clear()
        if not self.module.has_address and self.module.life.cfun == 1 and not self.module.life.is_booting:
            self.module.life.attach(self.now)
        if not self._is_port_open:
            self._open_port()

    def _check_complete(self) -> None:
        """A stream that nobody was told of as cut short has got through by now."""
        for link in self.connections.values():
            peer = link.peer
            if link.is_spoiled and link.is_usable and link.is_tcp and "unseen" not in link.spoilers:
                raise Violation("up", f"{link}: the peer got garbage and the application was not told")
            if peer is None or not link.is_tcp or link.is_spoiled or link.is_misread or peer.has_been_deaf:
                continue
            if link.must_be_told is not None and link.is_usable and not self._may_miss_sign(link.must_be_told):
                raise Violation("untold", f"{link}: the module has lost it, and the application was not told")
            # Nothing shows that a module has restarted which says nothing and is asked for nothing.
            if peer.is_forgotten or (link.is_lost_silently and link.is_usable):
                continue
            got = len(peer.link.received)
            # What was on its way when the peer had closed its side already may get lost, as in any TCP.
            is_lost = (
                peer.link.is_vanished
                or peer.ended == "rst"
                or self.causes.has_come("broken|registration|restarted", link.closed_at, link.closed_at + LASTING)
            )
            if link.owed is not None and got < link.owed and not (link.spoilers or is_lost):
                raise Violation("eof", f"{link}: a clean end, and the peer got {got} of {link.owed} bytes")
            # What the network keeps for a module that cannot be reached comes with the next that this one sends.
            is_cut = link.read < peer.sent and self.module.saving.mode == 0
            if link.is_usable and (got < link.written or is_cut) and not link.spoilers:
                raise Violation(
                    "gap", f"{link}: the peer got {got} of {link.written}, it read {link.read} of {peer.sent} bytes"
                )
        if self.plan.loses_nothing:
            self._check_calm()

    def _may_miss_sign(self, moment: float) -> bool:
        """Whether the report of a loss may have been hurt on the line."""
        return self.causes.has_come(" down$", moment - LASTING, moment + LASTING)

    def _check_calm(self) -> None:
        """Where nothing goes wrong, or the module forgets UDP sockets at the most, everything gets through."""
        options = self.plan.module_options
        if options.loss or self.plan.settings.power == "psm":
            return
        # An opening that nobody answers keeps the line, or the module, busy for a minute.
        enough = 180.0 if any(link.manner == "silent" for link in self.connections.values()) else 60.0
        is_hurried = any(
            link.is_("aborted") or link.linger < enough for link in self._datagram_links("aborted", "finished")
        )
        is_hurried |= self.causes.has_come("^rate changed", 0.0, self.now)  # and what came meanwhile was lost
        if self.driver.counters["dropped_datagrams"] and not (is_hurried or self._has_doubted):
            raise Violation("lost", f"{self.driver.counters['dropped_datagrams']} datagrams were given up")
        is_fast = options.latency <= 0.3 and not options.radio_rate and options.answer_delay < 0.1
        # An opening that nobody answers has the line for itself for a minute, as the manual wants it.
        is_fast = is_fast and not any(link.manner == "silent" for link in self.connections.values())
        for link in self.connections.values():
            if link.peer is None or link.peer.has_been_deaf or link.peer.is_forgotten:
                continue
            # The module does not stop talking while the rate of the line changes.
            is_cut = self.causes.has_come("^rate changed", link.opened_at + 1e-6, self.now)
            if not link.is_tcp and link.is_("connected") and not link.is_("gone", "aborted"):
                got, want = link.datagrams_got.total(), link.datagrams.total()
                read, sent = link.datagrams_read.total(), link._sent_by_peers().total()
                has_time = link.is_usable or (is_fast and link.linger >= 60.0)
                if has_time and (got < want or link.waiting):
                    raise Violation("lost", f"{link}: {got} of {want} datagrams up, {len(link.waiting)} wait")
                is_told = link.is_usable and not is_cut and link.number not in self._forgotten
                if is_told and read < sent:
                    raise Violation("lost", f"{link}: {read} of {sent} datagrams down")
            elif (
                link.is_("finished")
                and not link.is_("gone")
                and link.is_tcp
                and is_fast
                and not is_cut
                and link.linger >= 60.0
                and not link.peer.ended
            ):
                got = len(link.peer.link.received)
                if got < link.written:
                    raise Violation("lost", f"{link}: closed with time to spare, {got} of {link.written} bytes")

    def _datagram_links(self, *states: str) -> list[Connection]:
        return [link for link in self.connections.values() if not link.is_tcp and link.is_(*states)]

    def _close_all(self) -> None:
        for link in self.connections.values():
            if link.is_("open") and not link.is_("failed", "ended", "aborted", "gone", "finished"):
                self.do_close(link.number, 5.0)
        for socket_id in sorted(self.inside.claimed_ids):
            self.do_raw_close(socket_id)
        self._run_until(self.now + CLOSE_BOUND + 10.0)

    def _check_works(self) -> None:
        """After every fault the next operation works: a look-up, an exchange over TCP, one over UDP."""
        most = 1 if self.plan.is_calm else 3
        for attempt in range(1, most + 1):
            if self._try_everything(100 + 2 * attempt):
                self.report.tries[attempt] += 1
                return
        options, settings = self.plan.module_options, self.plan.settings
        if options.baudrate in (None, *COMMON_RATES) or settings.power == "awake" or settings.attach_timeout > 60.0:
            raise Violation("dead", f"after the faults nothing works in {most} tries")
        # A module that sleeps at a rate that is seldom met is looked for at each rate for longer than it is waited for.

    def _try_everything(self, number: int) -> bool:
        asked = self.requests.submit("resolve", 200.0)
        for offset, service in enumerate(("TCP", "UDP")):
            self.do_connect(number + offset, service, "10.0.0.77", peer="echo")
            self.do_write(number + offset, 300)
        self._run_until(self.now + 210.0)
        stream, datagrams = self.connections[number], self.connections[number + 1]
        is_good = self.requests.is_done(asked) and stream.is_usable and stream.read == 300
        if not self.plan.module_options.loss:
            is_good = is_good and datagrams.datagrams_read.total() == 1
        for link in (stream, datagrams):
            if link.is_("open") and not link.is_("failed", "ended", "finished"):
                self.do_close(link.number, 20.0)
        self._run_until(self.now + CLOSE_BOUND + 10.0)
        return is_good

    def _check_rest(self) -> None:
        """Nothing is left: no connection, no id in use, no wake-up, nothing that has grown."""
        self._run_until(self.now + 100.0)
        driver = self.driver
        if not driver.is_at_rest or self._by_key or self.inside.has_connections:
            raise Violation("rest", f"not at rest: {[str(link) for link in self._by_key.values()]}")
        if self.inside.free_ids != [0, 1, 2, 3, 4]:
            raise Violation("leak", f"free socket ids: {self.inside.free_ids}")
        # A module that says that a socket is closed, or twice that it will not close it, is believed; such a socket is
        # closed when its id is wanted again.
        self.report.left_open = len(self.module.sockets.table)
        if len(self.module.sockets.table) > self._left_behind:
            raise Violation("leak", f"the module has sockets left: {sorted(self.module.sockets.table)}")
        ended = [link for link in self.connections.values() if link.is_("closed")]
        is_late = any(peer.too_late_down for link in ended for peer in link.peers)
        if is_late and self.plan.is_calm and not driver.counters["late_data"]:
            raise Violation("late", "data came after the end of a connection, and was not counted")
        if driver.next_deadline() is not None:
            raise Violation("idle", f"an idle driver wants to wake up in {driver.next_deadline() - self.now:.1f} s")  # type: ignore[operator]
        commands = driver.counters["commands"]
        self._run_until(self.now + 3600.0)
        if driver.counters["commands"] != commands:
            raise Violation("idle", "an idle driver sends commands")

    def _check_stop(self) -> None:
        self.driver.shut_down(self.now)
        self._run_until(self.now + 30.0)
        if not any(isinstance(what, _driver.Stopped) for _, _, what in self.trace):
            raise Violation("hang", "shut_down() does not end")

    # -- steps: the port, the host and the module

    def _open_port(self) -> None:
        self._is_port_open = True
        self.driver.port_opened(self.now)

    def do_lose_port(self) -> None:
        if self._is_port_open:
            self._disturbed("port lost")
            self._spoil_send()
            self._is_port_open = False
            self._line.clear()
            self.driver.port_lost(make_error(ENOENT, "the port is gone"), self.now)

    def do_open_port(self) -> None:
        if not self._is_port_open:
            self._open_port()

    def do_restart_host(self) -> None:
        """The program is killed, and another one begins."""
        self.report.faults["host restarted"] += 1
        self.causes.add(self.now, "host restarted")
        self._spoil_send()
        for link in self._by_key.values():
            link.told.append("gone")
            link.due = None
        self._by_key.clear()
        self.requests.forget()
        self._line.clear()
        self.driver = Driver(self.plan.settings)
        self.inside = Insight(self.driver)
        if self._is_port_open:
            self._open_port()

    def _spoil_send(self) -> None:
        """A raw send that is on its way is left alone: its command may be about to open a data mode."""
        pending = self.inside.pending
        if pending is not None and pending.payload is not None and self._last_send is not None:
            self._last_send.spoilers.add("told")
        self._spoil_data_mode()

    def _spoil_data_mode(self) -> None:
        """Whoever takes the line next writes into a payload that was begun."""
        if self.module.data_mode is not None and self._last_send is not None:
            self._last_send.spoilers.add("told")

    def do_restart_module(self) -> None:
        self._disturbed("module restarted")
        self._expect_loss(is_silent=self.plan.module_options.boot_reports == "none")
        self.module.restart(self.now)

    def do_readdress(self) -> None:
        if self.module.has_address:
            self._disturbed("address changed")
            self._expect_loss(is_silent=False)
            self.module.inject(Fault("readdress"), self.now)

    def _expect_loss(self, is_silent: bool) -> None:
        """The module is about to lose its streams, and an application that only reads must learn of it."""
        for key, sender in self._by_key.items():
            # Refused it was, and may have been carried out: the count that would tell goes with the socket.
            sender.spare_copies += self.inside.may_be_in_the_modem(key) and not sender.is_tcp
        for socket_id, entry in self.module.sockets.table.items():
            link = self._by_id.get(socket_id)
            # One that the application knows nothing of yet is opened again.
            if link is None or not (link.is_tcp and link.is_usable and entry.is_connected):
                continue
            if is_silent and not link.has_keepalive:
                link.is_lost_silently = True
            else:
                link.must_be_told = self.now

    def do_lose_registration(self) -> None:
        self._disturbed("registration lost")
        self.module.life.lose_registration(self.now)

    def do_register(self) -> None:
        if self.module.life.cfun == 1 and not self.module.life.is_booting:
            self.module.life.attach(self.now)

    def do_answer_fault(self, **fields: Any) -> None:
        self.module.inject(Fault(**fields), self.now)

    def do_lose_bytes(self, **fields: Any) -> None:
        fault = Fault(**fields)
        self._filters[fault.direction].append((fault, byte_filter(fault)))

    def do_double_line(self) -> None:
        self._doubles += 1

    def do_stray(self, data: bytes) -> None:
        self.report.faults["stray line"] += 1
        self._left_behind += b"CLOSE OK" in data
        if self.plan.module_options.strict and re.search(rb"OK|FAIL|ERROR", data):
            self._left_behind += 2  # the same
        self.causes.add(self.now, f"stray {data!r}")
        pending = self.inside.pending
        if b"SEND FAIL" in data:
            for key, waiting in self._by_key.items():
                if self.inside.awaits_outcome(key):
                    # Nothing tells it from the outcome of the send; carried out later, that goes out twice.
                    waiting.spoilers.add("unseen")
            # Where it is taken for that of a datagram under way, the datagram goes out again.
            for link in self.connections.values():
                link.spare_copies = max(link.spare_copies, int(not link.is_tcp))
        is_data_mode = self.module.data_mode is not None or (pending is not None and pending.payload is not None)
        if b"ERROR" in data and is_data_mode and self._last_send is not None:
            # Taken for the answer to a question, it says that the module is in no data mode.
            self._last_send.spoilers.add("unseen")
        if b"ERROR" in data:
            for key, refused in self._by_key.items():
                # Taken for the refusal of a datagram, and of the count that would tell that it went out all the same.
                refused.spare_copies += self.inside.may_be_in_the_modem(key) and not refused.is_tcp
        if b"SEND OK" in data and self.inside.awaits_any_outcome:
            self._outcomes_shifted = True
            # Nothing tells it from the outcome of the send that is under way, whose own is then that of the next.
            for link in self.connections.values():
                link.spoilers.add("unseen")
        self.module.say_raw(data, self.now)

    def do_break_connection(self, number: int) -> None:
        link = self.connections.get(number)
        if link is None or not link.is_usable or not link.is_tcp:
            return
        for socket_id, entry in self.module.sockets.table.items():
            if self._by_id.get(socket_id) is link and entry.is_connected:
                self.report.faults["connection broken"] += 1
                self.causes.add(self.now, "broken by the network", link)
                self.module.inject(Fault("closed", socket_id=socket_id), self.now)
                return

    def do_forget(self, number: int, state: int | None) -> None:
        """The module loses a UDP socket and says nothing."""
        link = self.connections.get(number)
        for socket_id, entry in tuple(self.module.sockets.table.items()):
            if self._by_id.get(socket_id) is link and link is not None and not link.is_tcp and entry.is_connected:
                self.report.faults["socket forgotten"] += 1
                self._forgotten.add(number)
                # Where a send was refused that was carried out, the count goes that tells.
                link.spare_copies = max(link.spare_copies, 1)
                self.module.inject(Fault("forget", socket_id=socket_id, code=state), self.now)
                return

    # -- steps: applications

    def do_connect(
        self,
        number: int,
        service: str,
        host: str,
        peer: str = "sink",
        kind: str = "random",
        local_port: int = 0,
        timeout: float | None = None,
        **choices: Any,
    ) -> None:
        link = Connection(self.plan.seed, number, service, peer, kind)
        link.opened_at, link.local_port = self.now, local_port
        link.has_keepalive = bool(choices.get("keepalive"))
        if self._outcomes_shifted:
            link.spoilers.add("unseen")
        self.connections[number] = link
        if peer in ("refuse", "silent"):
            self.network.refuse(link.port, silently=peer == "silent")
        self.network.serve(link.port, self._serve)
        try:
            link.key = self.driver.open(service, host, link.port, local_port, link, self.now)
        except OSError as error:
            self._check_refused(link, local_port, error)
            return
        link.told.append("open")
        link.due = self.now + self.plan.settings.attach_timeout + CONNECT_BOUND
        self._by_key[link.key] = link
        for name, value in choices.items():
            self.driver.set_option(link.key, name, value)
        if timeout is not None:
            self._at(self.now + timeout, lambda: self._give_up_connect(link))
        self._try_port()

    def _is_known(self, link: Connection) -> bool:
        """The present driver has it: keys begin anew with each driver."""
        return self._by_key.get(link.key) is link

    def _check_refused(self, link: Connection, local_port: int, error: OSError) -> None:
        busy = self._busy_sockets(self._by_key.values())
        if error.errno == EMFILE and busy < MAX_SOCKETS:
            raise Violation("leak", f"{link}: {error}; the applications have {busy} connections")
        if error.errno == EADDRINUSE and not local_port:
            raise Violation("order", f"{link}: {error}")

    def _try_port(self) -> None:
        """What the engine does when there is no port: try to open it, which fails now."""
        if not self._is_port_open:
            self.driver.port_lost(make_error(ENOENT, "there is no port"), self.now)

    def _give_up_connect(self, link: Connection) -> None:
        if not link.is_("connected", "failed", "ended", "aborted", "gone", "finished"):
            self.do_abort(link.number)

    def _adopt_peers(self) -> None:
        """Meet the peers of connections that the module has made."""
        for connection in self.network.connections[self._peers_seen :]:
            link = self.connections.get(connection.target.port - FIRST_PORT)
            # Digits of the port can get lost or made up on the way to the module, and nothing tells.
            if link is not None:
                link.peers.append(Peer(link, connection, self.module.sockets.by_handle(connection.handle)))
            elif connection.target.port != RAW_PORT and not self.causes.has(" up$", self.now):
                raise Violation("order", f"a connection to port {connection.target.port}")
        self._peers_seen = len(self.network.connections)

    def _serve(self, connection: ModelConnection, data: bytes) -> None:
        self._adopt_peers()
        link = self.connections[connection.target.port - FIRST_PORT]
        peer = next(peer for peer in link.peers if peer.link is connection)
        self.report.bytes_up += len(data)
        self.report.datagrams += not link.is_tcp
        peer.react(data)

    def do_write(self, number: int, size: int) -> None:
        link = self.connections.get(number)
        if link is None or not (link.is_usable or link.told == ["open"]):
            return
        ready = link.write(size)
        if link.is_usable:
            self.driver.data_available(link.key, ready, self.now)

    def do_close(self, number: int, linger: float) -> None:
        link = self.connections.get(number)
        if link is None or not self._is_known(link) or link.is_("finished", "aborted"):
            return
        # A stream that was told of its end is done with: the application's close() has nothing left to do.
        if link.is_("closed", "reset"):
            return
        if link.told == ["open"] and not link.is_tcp and not link.waiting:
            self.do_abort(number)
            return
        is_unopened = link.told == ["open"] and not link.is_tcp
        link.told.append("finished")
        link.linger = linger
        if not is_unopened:
            link.due = self.now + linger + CLOSE_BOUND
        self.driver.end_of_data(link.key, linger, self.now)

    def do_half_close(self, number: int, linger: float) -> None:
        link = self.connections.get(number)
        if link is not None and link.is_usable and link.is_tcp:
            link.told.append("halved")
            self.driver.half_close(link.key, linger, self.now)

    def do_abort(self, number: int) -> None:
        link = self.connections.get(number)
        if link is None or not self._is_known(link) or link.is_("aborted"):
            return
        link.told.append("aborted")
        link.due = self.now + CLOSE_BOUND
        self.driver.abort(link.key, self.now)

    def do_set_option(self, number: int, name: str, value: float) -> None:
        link = self.connections.get(number)
        if link is not None and self._is_known(link):
            self.driver.set_option(link.key, name, value)

    # -- steps: peers

    def _peer(self, number: int) -> Peer | None:
        link = self.connections.get(number)
        return link.peers[-1] if link is not None and link.peers else None

    def do_peer_write(self, number: int, size: int) -> None:
        if (peer := self._peer(number)) is not None:
            peer.write(size)

    def do_peer_close(self, number: int) -> None:
        if (peer := self._peer(number)) is not None:
            peer.end("fin")

    def do_peer_reset(self, number: int) -> None:
        if (peer := self._peer(number)) is not None:
            peer.end("rst")

    def do_peer_deaf(self, number: int) -> None:
        if (peer := self._peer(number)) is not None:
            peer.has_been_deaf = True
            peer.link.acknowledges = False

    def do_peer_listens(self, number: int) -> None:
        if (peer := self._peer(number)) is not None:
            peer.link.acknowledge()

    # -- steps: requests

    def do_request(self, kind: str, timeout: float | None, cancel_after: float | None = None) -> None:
        number = self.requests.submit(kind, timeout)
        if cancel_after is not None:
            self._at(self.now + cancel_after, lambda: self.requests.cancel(number))
        self._try_port()

    def do_raw_open(self, socket_id: int, service: str) -> None:
        """The user opens a socket by a command of their own."""
        context = int(self.module.options.model == "bc66")
        command = f'AT+QIOPEN={context},{socket_id},"{service}","10.0.0.50",{RAW_PORT}'
        self.requests.ask(_driver.RawCommand(command, wants_outcome=True), "raw_open")
        self._try_port()

    def do_own_setting(self, text: str) -> None:
        """The user changes how the module is set, by a command of their own."""
        self.requests.ask(_driver.RawCommand(text), "own_setting")
        self._try_port()

    def do_chatter(self, data: bytes) -> None:
        """The module says a line that nobody knows."""
        self.module.say_raw(data, self.now)

    def do_raw_close(self, socket_id: int) -> None:
        """The user closes it, if it became theirs."""
        if socket_id in self.inside.claimed_ids:
            self.requests.ask(_driver.RawCommand(f"AT+QICLOSE={socket_id}", wants_outcome=True), "raw_close")
            self._try_port()


_HANDLERS: dict[type, Callable[[World, Connection, Any], None]] = {
    _driver.Connected: World._connected,
    _driver.ConnectFailed: World._connect_failed,
    _driver.DataReceived: World._data_received,
    _driver.PeerClosed: World._peer_closed,
    _driver.ConnectionReset: World._reset,
    _driver.ConnectionEnded: World._ended,
}
