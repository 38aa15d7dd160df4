"""The connections of one modem: what the application asks of them, what the modem says of them, whose command is next.

Theory of operation. A connection is opened, used and closed command by command: the driver asks for the next one (and
what is to be done with its result) whenever the modem is free; nothing here sends by itself. What a connection is at is
its phase (``_phase.py``); this is the way in: from the application by key, from the modem by socket_id, from the clock.

* QIOPEN is alone on the line until its outcome came (BC260Y-CN TCP/IP guide 1.1 §2.3.2 note 2).
* A socket_id is used again only after CLOSE OK, or an ERROR to QICLOSE, which says that it is not open.
* A send whose fate is unknown is settled by the modem's own count of bytes, never by guessing.
* A UDP socket that the modem has lost is opened again under the same key: datagrams know no connection.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EADDRINUSE, EMFILE
from itertools import count

from nbsocket._at import QIOPEN, FinalResult, QISTATERead
from nbsocket._driver._answers import read_rows
from nbsocket._driver._closing import Closing, end_delay
from nbsocket._driver._connection import Connection, Source
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._log_limit import INFO
from nbsocket._driver._open import Open
from nbsocket._driver._opening import Queued
from nbsocket._driver._socket_ids import LONGEST_DETOUR, SOCKET_IDS
from nbsocket._driver._transitions import Transitions
from nbsocket._errors import error_from_result, make_error

__all__ = ["Connections"]

#: Outcomes of an opening that failed, where others are about an id that is in use: name, connection, closed, time-out.
FAILED_RESULTS = frozenset({565, 566, 567, 569})
#: Seconds that questions about the network take where it is there.
CHECK_TIME = 10.0


class Connections:
    """All connections of one driver."""

    def __init__(self, shared: Transitions) -> None:
        """Begin with none; ``shared`` is what they work with."""
        self.shared = shared
        self.table = self.shared.table
        self.ids = self.shared.ids
        self.segments = self.shared.segments
        self._settings = shared.settings
        self._keys = count(1)

    # -- what the application asks for

    def open(self, service: str, host: str, port: int, local_port: int, source: Source, now: float) -> int:
        """Queue a connection and return its key."""
        QIOPEN(0, service, host, port, local_port)  # refuses what must not reach the wire
        socket_deadline = self._socket_deadline(service, now)
        if local_port:
            self._check_local_port(service, local_port, now)
        link = Connection(next(self._keys), service, host, port, local_port, source)
        link.delivery.user_timeout = self._settings.ack_timeout
        attach_deadline = now + self._settings.attach_timeout
        link.phase = Queued(link, self.shared, attach_deadline, socket_deadline=socket_deadline)
        self.table.add(link)
        return link.key

    def _socket_deadline(self, service: str, now: float) -> float | None:
        """None when there is a socket for one more; else when to give up waiting, if that is asked for."""
        if self.table.has_socket:
            return None
        # For a datagram the engine closes another peer's socket instead.
        if service != "TCP" or not self._settings.wait_for_socket:
            raise make_error(EMFILE, f"the module has only {len(SOCKET_IDS)} sockets and all are in use")
        return now + self._settings.wait_for_socket

    def _check_local_port(self, service: str, local_port: int, now: float) -> None:
        if any(link.service == service and link.local_port == local_port for link in self.table.order):
            raise make_error(EADDRINUSE, f"local port {local_port} is in use by another connection")
        wait = self.ids.port_wait(service, local_port, now)
        if wait > 0:
            raise make_error(
                EADDRINUSE, f"the module keeps local port {local_port} busy for another {wait:.0f} s after its close"
            )

    def data_available(self, key: int, size: int, now: float) -> bool:
        """The application has ``size`` bytes ready (of the next datagram); return whether any may go out now."""
        link = self.table.get(key)
        return link is not None and link.data_available(size, self.shared.segment_size, now)

    def end_of_data(self, key: int, linger: float, now: float) -> None:
        """The application closed: flush, wait for acknowledgement within ``linger`` seconds, close."""
        link = self.table.get(key)
        if link is not None:
            link.phase.end_of_data(linger, now)

    def half_close(self, key: int, linger: float, now: float) -> None:
        """The application will write no more but still reads."""
        link = self.table.get(key)
        if link is not None:
            link.phase.half_close(linger, now)

    def abort(self, key: int, now: float) -> None:
        """Close at once; what was not sent is dropped."""
        link = self.table.get(key)
        if link is not None:
            link.phase.abort(now)

    def set_option(self, key: int, name: str, value: float) -> None:
        """Set ``nodelay``, ``rai``, ``keepalive`` (seconds of silence; 0: off) or ``user_timeout`` (seconds; 0: the
        settings' ``ack_timeout``, as for Linux)."""
        link = self.table.get(key)
        if link is None:
            return
        if name == "nodelay":
            link.nodelay = bool(value)
        elif name == "rai":
            link.rai = int(value)
        elif name == "keepalive":
            link.keepalive = float(value) if link.is_tcp else 0.0
            self.shared.has_keepalive |= link.keepalive > 0
        elif name == "user_timeout":
            link.delivery.user_timeout = float(value) or self._settings.ack_timeout
        else:
            raise ValueError(f"no such option: {name}")

    # -- whose command is next

    def next_urgent(self, now: float) -> Dispatch | None:
        """What must not wait: segments that go out again, closes, unconfirmed segments, ends, acknowledgement."""
        if self.segments.cleared is not None and (resend := self.segments.resend()) is not None:
            return resend
        if self.shared.wants_orphan_scan:
            return Dispatch(QISTATERead(), self._scan_for_orphans)
        for link in self.table.order:
            if link.socket_id is None:
                continue
            phase = link.phase
            command = phase.next_command(now)
            if command is None and link.phase is not phase:
                command = link.phase.next_command(now)
            if command is not None:
                return command
        return None

    def next_opening(self, now: float) -> Dispatch | None:
        """The next QIOPEN; call only when the network is there."""
        if self.shared.opening is not None:
            return None
        for link in self.table.order:
            phase = link.phase
            if type(phase) is Queued and now >= phase.try_at:
                if phase.wants_address:
                    if phase.look_up(now):
                        return self.next_opening(now)
                    continue
                may_open = self.ids.rested(now) is not None and not self.may_be_refused(now)
                return phase.open(now) if may_open else None
        return None

    def may_be_refused(self, now: float) -> bool:
        """The modem is at an opening that was given up, or the user's own, and may refuse what needs the network."""
        if self.ids.claims_opening and self.ids.is_claim_opening(now):
            return True
        for link in self.table.order:
            phase = link.phase
            if type(phase) is Closing and phase.is_half_open:
                return True
        return False

    # -- what the modem says

    def opened(self, socket_id: int, result: int, now: float) -> None:
        """``+QIOPEN: id,result`` came."""
        opening = self.shared.opening
        if opening is not None and opening.link.socket_id == socket_id:
            opening.outcome(result, now)
            return
        link = self.table.by_id(socket_id)
        if result in FAILED_RESULTS and link is not None and link.is_tcp and isinstance(link.phase, Open):
            # What was taken for its outcome was not, or this is the late one of an earlier connection: it is asked.
            link.opening_error = error_from_result(result, self.shared.open_command(link, socket_id).line)
            self.shared.has_lost_any = True
        self._unexpected(socket_id)

    def received(self, socket_id: int, data: bytes, now: float) -> None:
        """Payload came."""
        for other in self.table.order:
            if other.has_closed:
                other.phase.put_off_end(now, min(now + end_delay(self.shared), other.closed_at + LONGEST_DETOUR))
        link = self.table.by_id(socket_id)
        if link is None:
            self.shared.came_late(socket_id, data)
            self._unexpected(socket_id)
        else:
            link.phase.received(data, now)

    def peer_closed(self, socket_id: int, now: float) -> None:
        """``+QIURC: "closed"`` came."""
        link = self.table.by_id(socket_id)
        if link is None:
            self._unexpected(socket_id)
        else:
            link.phase.peer_closed(now)

    def close_ok(self, now: float) -> bool:
        """``CLOSE OK`` came; return whether it is that of one of these."""
        link = self.table.closing()
        if link is None:
            return False
        self.shared.gone(link, now)
        return True

    def hint_at_outcome(self, now: float) -> None:
        """Something came that makes no sense: it may have been the outcome of an opening."""
        if self.shared.opening is not None:
            self.shared.opening.hint_at_outcome(now)

    def _unexpected(self, socket_id: int) -> None:
        """Something came for a socket that nobody has: close it, or it would be in the way for ever."""
        if socket_id not in self.ids.free:
            return
        self.ids.free.remove(socket_id)
        self.shared.dispose(socket_id)
        self.shared.log(INFO, f"closing socket {socket_id}, which the module has open and nobody here")

    def _scan_for_orphans(self, result: FinalResult | None, now: float) -> None:
        """Close what the modem has open and nobody here, such as what refused to be closed before."""
        self.shared.wants_orphan_scan = False
        for row in read_rows(result) or ():
            if row.socket_id in self.ids.free:
                self.ids.free.remove(row.socket_id)
                self.shared.dispose(row.socket_id, is_half_open=True)

    # -- faults and time

    def network_came(self, now: float, waited: float) -> bool:
        """The modem is registered, after so many seconds that are none of an opening's; return whether it was not."""
        is_new = waited > CHECK_TIME or self.shared.attached_at == float("-inf")
        if is_new:
            self.shared.attached_at = now
        for link in self.table.order:
            if isinstance(link.phase, Queued):
                link.phase.network_came(now, waited)
        return is_new

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        """Do what time demands; ``why_not``: why the network cannot be used, where ``is_attached`` is False."""
        if self.ids.resting or self.ids.claims_opening:
            self.ids.handle_timeout(now)
        if self.shared.opening is not None:
            self.shared.opening.handle_timeout(now, is_attached, why_not)
        for link in tuple(self.table.order):
            link.phase.handle_timeout(now, is_attached, why_not)

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        """Add when anything is due; without ``is_line_free`` not what waits for a command's end anyway."""
        is_closing = is_queued = False
        for link in self.table.order:
            phase = link.phase
            phase.add_deadlines(moments, is_line_free)
            is_queued |= type(phase) is Queued
            is_closing |= type(phase) is Closing
        ids = self.ids
        if ids.claims_opening or ids.closing_claims or ids.resting:
            moments.extend(ids.deadlines(is_closing, is_queued))

    def refuse_queued(self, error: OSError, now: float) -> None:
        """Fail every connection that has not begun."""
        for link in tuple(self.table.order):
            if isinstance(link.phase, Queued):
                self.shared.refuse(link, error, now)

    def damaged(self, socket_id: int | None, is_contained: bool, reason: str) -> None:
        """Bytes from the modem were lost: every stream that may have a gap now is cut off."""
        for link in tuple(self.table.order):
            if link.socket_id == socket_id or not is_contained:
                link.phase.damaged(is_contained, reason)

    def network_gone(self) -> None:
        """Registration or context are lost: a "closed" about now is no end that a peer has made."""
        for link in tuple(self.table.order):
            link.phase.network_gone()

    def reset_streams(self, error: OSError) -> None:
        """Nothing can come of the TCP connections any more, though the modem may have them still."""
        for link in tuple(self.table.order):
            if link.is_tcp:
                link.phase.reset(error)

    def lost_tcp(self, error: OSError, now: float) -> None:
        """Deep sleep took the TCP connections; UDP lives on."""
        for link in tuple(self.table.order):
            if link.is_tcp:
                link.phase.lost(error, now)

    def lost_all(self, error: OSError, now: float) -> None:
        """The modem restarted or is gone: it has no sockets any more. What has not begun stays queued."""
        for link in tuple(self.table.order):
            link.phase.lost(error, now)
        self.ids.disclaim_all()
        self.segments.clear()
        self.shared.attached_at = float("-inf")
        self.shared.wants_orphan_scan = False
