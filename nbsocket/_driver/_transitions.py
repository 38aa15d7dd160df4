"""How a connection goes from phase to phase, and what the application is told on the way.

All connections share what is here: where events go, the counters, the settings, the table and the socket ids.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ECONNRESET
from typing import TYPE_CHECKING

from nbsocket._at import QIOPEN
from nbsocket._driver._closing import Closing, Verifying
from nbsocket._driver._connection import Connection
from nbsocket._driver._connection_table import ConnectionTable
from nbsocket._driver._events import (
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    Event,
    Log,
    PeerClosed,
)
from nbsocket._driver._firmware import Firmware
from nbsocket._driver._log_limit import INFO, WARNING
from nbsocket._driver._open import Open
from nbsocket._driver._opening import Opening, Queued
from nbsocket._driver._phase import Phase
from nbsocket._driver._segments import Segments
from nbsocket._driver._settings import Settings
from nbsocket._driver._socket_ids import LineActivity, SocketIds
from nbsocket._errors import make_error

if TYPE_CHECKING:
    from nbsocket._driver._tasks import Tasks

__all__ = ["Transitions"]

#: Times in a row that a UDP socket is opened again before the datagram at hand is given up.
REOPENINGS = 3


class Gone(Phase):
    """Its socket is free."""

    def lost(self, error: OSError, now: float) -> None:
        pass


class Transitions:
    """The ways between phases; and what they all work with."""

    #: Given by the driver; looks names up.
    tasks: Tasks

    def __init__(
        self,
        emit: Callable[[Event], None],
        counters: dict[str, int],
        firmware: Firmware,
        settings: Settings,
        line: LineActivity,
    ) -> None:
        """Take what connections work with.

        Args:
            emit: takes events.
            counters: running totals, by name.
            firmware: how the model takes commands.
            settings: how the modem is to be used.
            line: what is known of the serial line.
        """
        self.emit = emit
        self.counters = counters
        self.firmware = firmware
        #: Most bytes of a segment or datagram.
        self.segment_size = firmware.profile.send_size(settings.is_hex)
        self.settings = settings
        self.line = line
        self.ids = SocketIds(line)
        self.table = ConnectionTable(self.ids)
        #: The one whose QIOPEN has the line for itself.
        self.opening: Opening | None = None
        #: Some connection has, or had, SO_KEEPALIVE on.
        self.has_keepalive = False
        #: A socket was found to be lost: others may be, too.
        self.has_lost_any = False
        #: An opening failed without a reason: sockets that nobody here has may be in the way.
        self.wants_orphan_scan = False
        #: An opening failed as it does without a network: the driver asks whether it is there, and takes this back.
        self.wants_network_check = False
        #: Segments are refused as they are where the modem has another data format than it was told.
        self.doubts_format = False
        #: When the network came.
        self.attached_at = float("-inf")
        #: The firmware tells by AT+QIGETERROR what a bare ERROR was for; None: not asked yet.
        self.tells_errors: bool | None = None
        #: Sends the segments of all connections.
        self.segments = Segments(self)

    def log(self, level: int, message: str) -> None:
        """Have a line logged."""
        self.emit(Log(level, message))

    def open_command(self, link: Connection, socket_id: int) -> QIOPEN:
        """The command that opens it."""
        host = link.address or link.host
        return self.firmware.profile.open(socket_id, link.service, host, link.port, link.local_port)

    def has_unsent(self, link: Connection) -> bool:
        """Whether anything that the application wrote is not in the modem for certain."""
        return link.has_unsent(self.segment_size)

    def move(self, link: Connection, phase: Phase) -> None:
        """Go to another phase."""
        assert type(phase).__name__ in type(link.phase).NEXT, f"{link.phase} -> {phase}"
        self.table.queued += isinstance(phase, Queued) - isinstance(link.phase, Queued)
        link.phase = phase

    # -- to each phase

    def queue(self, link: Connection, phase: Queued) -> None:
        """Wait for the network, a socket, or another try."""
        if isinstance(link.phase, Opening) and self.opening is link.phase:
            self.opening = None
        link.socket_id = None
        self.move(link, phase)

    def open_again(self, link: Connection, now: float) -> None:
        """UDP: forget the modem's socket, so that another one is opened. What was taken waits for it."""
        segment = link.segment
        if segment is not None and (segment.is_sending or (segment.is_unconfirmed and segment.awaits_outcome)):
            # It may have gone out, and must not arrive twice.
            link.drop_segment()
            self.count_lost(link, 1, "the module lost the socket while it was sent")
        elif segment is not None:
            link.segment = type(segment)(segment.data)
        link.reopenings += 1
        link.open_tries, link.delivery.sent = 0, 0
        link.ready_at, link.linger_deadline = now, None
        self.queue(link, Queued(link, self, now + self.settings.attach_timeout, try_at=now))

    def reopen(self, link: Connection, now: float) -> None:
        """The modem has lost a UDP socket: open another one, and send what it has refused."""
        if link.reopenings >= REOPENINGS:
            self.drop_datagrams(link, "the module loses the socket again and again")
            self.release(link)
            return
        self.has_lost_any = True
        assert link.socket_id is not None
        self.log(INFO, f"the module has lost its UDP socket {link.socket_id}: another one is opened")
        # The modem may have it in a state in which it cannot send; ERROR says that it has none, as is known.
        self.dispose(link.socket_id, close_tries=1)
        self.open_again(link, now)

    def may_open_again(self, link: Connection) -> bool:
        """Whether another socket may be opened for datagrams that the modem lost one for."""
        return not (link.is_tcp or link.is_released) and link.reopenings < REOPENINGS

    def opened(self, link: Connection, opening: Opening, now: float) -> None:
        """The modem has opened it: tell the application, the first time."""
        self.opening = None
        link.open_tries, link.open_deadline = 0, None
        link.delivery.round_trip = now - opening.began
        self.move(link, Open(link, self))
        link.alive_at = now

    def resume(self, link: Connection, now: float) -> None:
        """Datagrams that were written before there was a socket for them go out."""
        assert isinstance(link.phase, Open)
        link.phase.resume(now)

    def is_open(self, link: Connection) -> bool:
        """Whether it is open, as far as is known."""
        return isinstance(link.phase, Open)

    def verify(self, link: Connection, now: float, end_delay: float) -> None:
        """The modem said closed: find out whether that is an end of file or a reset, while data may follow."""
        self.move(link, Verifying(link, self, now, end_delay))

    def reset(self, link: Connection, error: OSError) -> None:
        """Cut it off: tell the application, and close the socket."""
        self._tell_reset(link, error)
        self.has_lost_any |= link.is_missing
        if isinstance(link.phase, Closing):
            link.phase.end_due = None
            link.phase.tells_end = False
        else:
            self.release(link)

    def lost(self, link: Connection, error: OSError, now: float) -> None:
        """The modem has no socket for it any more: cut it off, and there is nothing to close."""
        self._tell_reset(link, error)
        self.gone(link, now)

    def _tell_reset(self, link: Connection, error: OSError) -> None:
        if not link.is_released:
            self.counters["resets"] += 1
            if link.is_finished:
                self.log(WARNING, f"data to {link.host} port {link.port} may be lost after close: {error.strerror}")
            else:
                self.emit(ConnectionReset(link.key, error))
        link.is_released = True

    def release(self, link: Connection, tells_end: bool = False) -> None:
        """QICLOSE is due; ``tells_end``: its answer makes the end of file certain, which the application is told."""
        is_half_open = isinstance(link.phase, Opening) and self.opening is link.phase
        if is_half_open:
            self.opening = None
        self.move(link, Closing(link, self, is_half_open=is_half_open, tells_end=tells_end))
        link.linger_deadline = link.delivery.query_at = None
        self.drop_datagrams(link, "the socket was closed before it was sent")
        link.available = 0

    def dispose(self, socket_id: int, is_half_open: bool = False, close_tries: int = 0) -> None:
        """Close a socket of the modem that belongs to no connection."""
        orphan = Connection(0, "TCP", "", 0, 0, _Nothing(), socket_id)
        orphan.is_released = True
        orphan.phase = Closing(orphan, self, is_half_open=is_half_open, tries=close_tries)
        self.table.add(orphan)

    def gone(self, link: Connection, now: float) -> None:
        """Its socket is free, or it never had one."""
        self.tell_end(link)
        phase = link.phase
        self.move(link, Gone(link, self))
        if isinstance(phase, Opening) and self.opening is phase:
            self.opening = None
        elif isinstance(phase, Queued):
            phase.end_look_up()
        self.drop_datagrams(link, "the socket was closed before it was sent")
        is_news = self.table.remove(link)
        if link.socket_id is not None:
            self.ids.give_back(link.socket_id)
            if link.has_closed or link.socket_id in self.ids.late:
                self.ids.rest(link.socket_id, now, is_long=self.counters["late_data"] > 0)
            if link.local_port:
                self.ids.hold_port(link.service, link.local_port, now)
        if is_news:
            self.emit(ConnectionEnded(link.key))

    # -- failures to open

    def refuse(self, link: Connection, error: OSError, now: float) -> None:
        """It has not begun, and is given up."""
        self.tell_failed(link, error)
        self.gone(link, now)

    def fail(self, link: Connection, error: OSError) -> None:
        """It could not be opened; the modem may have a socket for it."""
        self.tell_failed(link, error)
        link.is_released = True
        self.release(link)

    def tell_failed(self, link: Connection, error: OSError) -> None:
        """The last event of a connection that never was; one that was open has ConnectionEnded to come."""
        if not link.was_open:
            self.emit(ConnectFailed(link.key, error))
            self.table.forget_key(link)
            return
        self.drop_datagrams(link, str(error.strerror))
        if not (link.is_released or link.is_finished):
            self.emit(ConnectionReset(link.key, error))

    # -- ends

    def tell_end(self, link: Connection) -> None:
        """QICLOSE was answered: nothing more comes. Tell the end of file, if nothing has spoilt it meanwhile."""
        closing = link.phase
        if not isinstance(closing, Closing) or not closing.tells_end:
            return
        if self.has_unsent(link):
            self.reset(link, make_error(ECONNRESET, "the connection was closed with data on its way", result=567))
            return
        closing.tells_end, closing.end_due = False, None
        link.is_released = closing.is_end_told = True
        self.emit(PeerClosed(link.key))

    def finish_closed(self, link: Connection) -> None:
        """The peer has closed, and the application is gone, too: there is nobody to tell how it ended."""
        if link.is_finished and self.has_unsent(link):
            self.log(WARNING, f"{link.host} port {link.port} closed with data on its way to it")
        if isinstance(link.phase, Closing):
            link.phase.tells_end = False
        else:
            self.release(link)

    def came_late(self, socket_id: int, data: bytes) -> None:
        """Data of a connection whose end was told already."""
        self.counters["late_data"] += 1
        if socket_id not in self.ids.late:
            self.log(WARNING, f"{len(data)} bytes came for socket {socket_id} after its end; they are dropped")
        self.ids.late.add(socket_id)

    # -- datagrams

    def drop_datagrams(self, link: Connection, reason: str) -> None:
        """Forget what was taken from the application and is not in the modem for certain; datagrams are counted."""
        number = 0 if link.is_tcp else (link.segment is not None) + (link.lookahead is not None)
        link.segment = link.lookahead = None
        if number:
            self.count_lost(link, number, reason)

    def count_lost(self, link: Connection, number: int, why: str) -> None:
        """Count datagrams that are given up, and tell of them."""
        self.counters["dropped_datagrams"] += number
        self.emit(DatagramsLost(link.key, number, why))


class _Nothing:
    """The source of a connection that nobody has."""

    def take(self, max_bytes: int) -> bytes:
        return b""
