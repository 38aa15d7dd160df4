"""One connection: who it is, what the application wants of it, and its account of bytes. What it is at is its phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nbsocket._dataclass import dataclass, field
from nbsocket._driver._segment import Segment

if TYPE_CHECKING:
    from nbsocket._driver._phase import Phase

__all__ = ["Connection", "Delivery", "Source"]

#: Seconds that less than a segment may wait for more; and with TCP_NODELAY, where it is time enough for the second of
#: two writes in a row, as of a request's headers and body. Another segment costs more than that on any serial line.
COALESCE_TIME = 0.010
GATHER_TIME = 0.0003
#: Times in a row that the latter was in vain, after which this program is taken for one that writes in one piece: it is
#: answered at once, until it does write twice in a row, which costs one more segment.
MOST_VAIN_WAITS = 8

#: Seconds after a send until the acknowledgement is asked for the first time; doubled each time.
FIRST_ACK_QUERY = 5.0
#: The same while closing, where the socket_id is wanted back.
FIRST_CLOSE_QUERY = 0.25
LONGEST_CLOSE_QUERY = 4.0


class Source(Protocol):
    """Where the application's bytes come from."""

    def take(self, max_bytes: int) -> bytes:
        """Return up to ``max_bytes`` of a stream (``b""``: nothing now), or exactly one datagram. Never blocks."""


@dataclass(eq=False)
class Delivery:
    """What the modem has taken of a connection's bytes, and what the peer has acknowledged of them."""

    #: Seconds without any acknowledgement until the connection is given up (TCP_USER_TIMEOUT).
    user_timeout: float = 120.0
    #: Bytes that the modem has certainly taken, and when it took the last of them.
    sent: int = 0
    sent_at: float = 0.0
    #: Bytes that the peer has acknowledged, as far as the modem was asked; and whether that is all.
    acked: int = 0
    is_acked: bool = True
    #: Something arrived since the last send.
    is_answered: bool = True
    #: When anything was acknowledged last, or sending began.
    progress_at: float = 0.0
    #: When the modem is asked next what was acknowledged, and the pause after that.
    query_at: float | None = None
    query_interval: float = FIRST_ACK_QUERY
    #: The modem's count was found to be another than ``sent``.
    is_miscounted: bool = False
    #: Since when the modem has not told what was acknowledged, though it was asked; None: it has.
    untold_since: float | None = None
    #: Seconds from QIOPEN to its outcome, with TCP one round trip at the least; 0: not known.
    round_trip: float = 0.0

    def segment_sent(self, size: int, is_last: bool, now: float) -> None:
        """The modem has taken so many bytes of a stream; ``is_last``: the application writes no more."""
        self.sent += size
        self.sent_at = now
        if self.is_acked:
            self.progress_at = now
        self.is_acked = self.is_answered = False
        self.query_interval = min(FIRST_ACK_QUERY, self.user_timeout / 4)
        if is_last:
            self.query_interval = max(FIRST_CLOSE_QUERY, self._shortest_wait)
        self.query_at = now + self.query_interval

    def ask_before_close(self, now: float) -> None:
        """Plan the question whether everything was acknowledged, for when it can have been."""
        shortest = self._shortest_wait
        self.query_interval = max(FIRST_CLOSE_QUERY, shortest) / 2
        moment = max(now, self.sent_at + shortest)
        self.query_at = moment if self.query_at is None else min(self.query_at, moment)

    @property
    def _shortest_wait(self) -> float:
        """Seconds after a send in which its acknowledgement cannot come."""
        return min(self.round_trip, LONGEST_CLOSE_QUERY)

    def note_acked(self, acked: int, now: float) -> None:
        """The peer has acknowledged so many bytes."""
        if acked > self.acked:
            self.acked, self.progress_at = acked, now

    def note_count(self, sent: int, acked: int, unacked: int, is_last: bool, now: float) -> None:
        """Take the modem's count of what was sent and acknowledged."""
        self.note_acked(acked, now)
        self.is_acked = unacked == 0 and sent == self.sent
        if self.is_acked:
            self.query_at = None
        else:
            self.ask_again(is_last, now)

    def ask_again(self, is_last: bool, now: float) -> None:
        """Plan the next question, later than the last one but not after the limit."""
        self.query_interval = min(2 * self.query_interval, LONGEST_CLOSE_QUERY if is_last else self.user_timeout)
        self.query_at = now + self.query_interval
        limit = self.progress_at + self.user_timeout
        if now < limit < self.query_at:
            self.query_at = limit

    def is_overdue(self, now: float) -> bool:
        """Whether the peer has acknowledged nothing for too long."""
        return not self.is_acked and now >= self.progress_at + self.user_timeout


@dataclass(eq=False)
class Connection:
    """A TCP or UDP connection of the application's; changed by its phase and by ``_segments`` alone."""

    #: 0: a socket of the modem that belongs to nobody and is being closed.
    key: int
    #: ``"TCP"`` or ``"UDP"``.
    service: str
    host: str
    port: int
    #: 0: the modem chooses.
    local_port: int
    source: Source
    #: The modem's number of its socket, None while it has none.
    socket_id: int | None = None
    #: What the look-up of ``host`` gave, for a modem that opens by address only.
    address: str | None = None

    # -- what the application asked for

    nodelay: bool = False
    #: Release assistance indication of its sends. BC260Y-CN TCP/IP guide 1.1 §2.3.5.
    rai: int = 0
    #: Seconds without a word from the peer after which the modem is asked whether it has the connection (SO_KEEPALIVE
    #: and TCP_KEEPIDLE); 0: never. And when there was a sign of its life.
    keepalive: float = 0.0
    alive_at: float = 0.0
    #: The application wants no more events but ConnectionEnded.
    is_released: bool = False
    #: No more will come from the application once ``source`` is empty.
    is_finished: bool = False
    #: SHUT_WR: stays readable after the flush.
    is_half_closed: bool = False
    #: For how many seconds, and until when, acknowledgement (finished) or the peer (half-closed) is waited for.
    linger: float = 0.0
    linger_deadline: float | None = None

    # -- what it has to send

    #: Bytes that the application has ready, as last told; and when they may be taken.
    available: int = 0
    ready_at: float = 0.0
    #: With TCP_NODELAY: what was there when a second write began to be waited for, and how often none came.
    gathering: int = 0
    vain_waits: int = 0
    #: Taken and not known to be in the modem: it goes out, or its fate is found out, before anything else.
    segment: Segment | None = None
    #: The following segment, taken early to know whether ``segment`` ends the burst (RAI only).
    lookahead: bytes | None = None
    #: Service in bytes up to which it was served, on a scale that all connections share.
    served: int = 0
    delivery: Delivery = field(default_factory=Delivery)

    # -- its openings

    #: The application was told that it is open. UDP: it may be opening again, because the modem lost the socket.
    was_open: bool = False
    #: Times in a row that it was opened again, with no datagram that the modem took in between.
    reopenings: int = 0
    #: Times in a row that QIOPEN failed, and when it is not tried again any more.
    open_tries: int = 0
    open_deadline: float | None = None
    #: What a line said of its opening after it had been taken for open.
    opening_error: OSError | None = None
    #: AT+QISTATE of this socket alone was refused: all of them are asked for.
    is_state_refused: bool = False

    # -- its end

    #: Something arrived since the last segment was begun: its answer may well come before SEND OK.
    has_heard: bool = True
    #: The modem said closed, and when it did.
    has_closed: bool = False
    closed_at: float = 0.0
    #: The modem was found to have this socket no more.
    is_missing: bool = False

    def __post_init__(self) -> None:
        #: What it is at; changed by ``Transitions`` alone, which sets the first one, too.
        self.phase: Phase
        #: A stream, with acknowledgement and an end.
        self.is_tcp = self.service == "TCP"

    @property
    def is_deaf(self) -> bool:
        """The application takes nothing any more."""
        return self.is_finished or self.is_released

    @property
    def is_about_to_end(self) -> bool:
        """The application or the peer has closed it: its socket becomes free without anybody's doing."""
        return self.is_released or self.is_finished or self.phase.is_ending

    @property
    def is_busy(self) -> bool:
        """Whether anything is left to be sent, or the application's close to be carried out."""
        return self.is_finished or self.is_busy_sending

    @property
    def is_busy_sending(self) -> bool:
        """Whether anything is left to be sent, as far as that was told."""
        return bool(self.available) or self.segment is not None or self.lookahead is not None

    @property
    def is_unconfirmed(self) -> bool:
        """A segment was sent whose fate is not known."""
        return self.segment is not None and self.segment.is_unconfirmed

    @property
    def is_sending(self) -> bool:
        """A segment is being sent: the answer is not there."""
        return self.segment is not None and self.segment.is_sending

    @property
    def unsent(self) -> int:
        """Bytes that were taken from the application and are not in the modem, as far as is known."""
        return (len(self.segment.data) if self.segment is not None else 0) + len(self.lookahead or b"")

    @property
    def keepalive_due(self) -> float | None:
        """When to ask whether the modem still has it."""
        if not self.keepalive or self.is_deaf:
            return None
        return max(self.alive_at, self.delivery.sent_at) + self.keepalive

    # -- sending

    def data_available(self, size: int, segment_size: int, now: float) -> bool:
        """Note that the application has ``size`` bytes ready; return whether any may be taken now."""
        if self.segment is None:
            if not self.is_tcp or size >= segment_size:
                self.ready_at = min(self.ready_at, now)
            elif not self.available and not self.nodelay:
                self.ready_at = now + COALESCE_TIME
            elif not self.available:
                self.gathering = size if self.vain_waits < MOST_VAIN_WAITS else 0
                self.ready_at = now + GATHER_TIME if self.gathering else now
        elif now < self.ready_at + GATHER_TIME:
            self.vain_waits = 0  # a second write, which came too late
        # Otherwise ready_at is that of the segment, and what comes now travels after it.
        self.available = size
        return now >= self.ready_at

    def look_for_more(self, now: float) -> None:
        """See at once whether the application has written anything, as its close or SHUT_WR comes behind that."""
        self.available = max(self.available, 1)
        self.ready_at = min(self.ready_at, now)

    def has_unsent(self, segment_size: int) -> bool:
        """Whether anything that the application wrote is not in the modem for certain."""
        return self.next_segment(segment_size) is not None

    def next_segment(self, size: int) -> Segment | None:
        """Take the segment to be sent now; None when the application has nothing after all."""
        if self.segment is None:
            data, self.lookahead = self.lookahead, None
            if data is None:
                data = self._take(size)
                if self.gathering and data is not None:
                    self.vain_waits = self.vain_waits + 1 if len(data) == self.gathering else 0
                    self.gathering = 0
            if data is not None:
                self.segment = Segment(data)
                if self.rai:
                    self.lookahead = self._take(size)
        return self.segment

    def _take(self, size: int) -> bytes | None:
        data = self.source.take(size)
        # More may have been written since the application's bytes were counted: only an empty take is the end.
        self.available = max(1, self.available - len(data)) if data else 0
        return data or None

    @property
    def segment_rai(self) -> int:
        """The release assistance indication of the segment: only the last one of a burst carries it."""
        return 0 if self.lookahead is not None else self.rai

    def segment_sent(self, now: float) -> None:
        """The modem has taken the segment."""
        assert self.segment is not None
        size = len(self.segment.data)
        self.drop_segment()
        self.reopenings = 0
        if self.is_tcp:
            self.delivery.segment_sent(size, self.is_finished, now)
        else:
            self.delivery.sent += size
            self.delivery.sent_at = now

    def drop_segment(self) -> None:
        """Be done with the segment."""
        self.segment = None
        if self.is_finished:
            # With RAI the end of the data is known before its last segment is sent; now it may be closed.
            self.available = max(self.available, 1)

    # -- receiving

    def note_received(self) -> None:
        """Something came: the peer is alive, so there is no need to ask."""
        self.delivery.is_answered = self.has_heard = True
        if not (self.is_finished or self.delivery.is_miscounted):
            self.delivery.query_at = None
