"""One connection as the driver sees it: its phase, its account of bytes, its timers. No command is chosen here."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from nbsocket._dataclass import dataclass

__all__ = ["Connection", "Phase", "Source"]

#: Seconds that less than a segment may wait for more; and with TCP_NODELAY, where it is time enough for the second of
#: two writes in a row, as of a request's headers and body. Another segment costs more than that on any serial line.
COALESCE_TIME = 0.010
GATHER_TIME = 0.0003

#: Seconds after a send until the acknowledgement is asked for the first time; doubled each time.
FIRST_ACK_QUERY = 5.0
#: The same while closing, where the socket_id is wanted back.
FIRST_CLOSE_QUERY = 0.25
LONGEST_CLOSE_QUERY = 4.0


class Source(Protocol):
    """Where the application's bytes come from."""

    def take(self, max_bytes: int) -> bytes:
        """Return up to ``max_bytes`` of a stream (``b""``: nothing now), or exactly one datagram. Never blocks."""


class Phase(Enum):
    """Where a connection is in its life; transitions are in ``TRANSITIONS``."""

    #: Waits for registration, a free socket_id, or its turn.
    QUEUED = auto()
    #: QIOPEN is out, its outcome is not there.
    OPENING = auto()
    OPEN = auto()
    #: The module said closed; whether that is an end of file or a reset is being found out, while data may follow.
    JUDGING = auto()
    #: QICLOSE is due.
    RELEASING = auto()
    #: QICLOSE is out or was accepted; CLOSE OK is not there.
    CLOSING = auto()
    #: The socket_id is free.
    GONE = auto()


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.QUEUED: frozenset({Phase.OPENING, Phase.GONE}),
    Phase.OPENING: frozenset({Phase.OPEN, Phase.QUEUED, Phase.RELEASING, Phase.GONE}),
    # Back to QUEUED: UDP only, where the module has lost the socket.
    Phase.OPEN: frozenset({Phase.QUEUED, Phase.JUDGING, Phase.RELEASING, Phase.GONE}),
    Phase.JUDGING: frozenset({Phase.RELEASING, Phase.GONE}),
    Phase.RELEASING: frozenset({Phase.CLOSING, Phase.GONE}),
    Phase.CLOSING: frozenset({Phase.RELEASING, Phase.GONE}),
    Phase.GONE: frozenset(),
}


@dataclass(eq=False)
class Connection:
    """State of one connection."""

    key: int
    #: ``"TCP"`` or ``"UDP"``.
    service: str
    host: str
    port: int
    #: 0: the module chooses.
    local_port: int
    source: Source
    #: When the network must be there at the latest.
    attach_deadline: float
    #: When one of the module's sockets must be free at the latest, while all were in use at the beginning.
    socket_deadline: float | None = None

    phase: Phase = Phase.QUEUED
    socket_id: int | None = None
    #: QIOPEN was given up without its outcome: until QICLOSE the module may still be at it, and refuse another.
    is_half_open: bool = False
    #: The module has said OK to QIOPEN: what it says of this socket_id is about this connection.
    is_accepted: bool = False
    #: While it was being opened bytes were lost that may have been the outcome, and what the peer said at once.
    is_hurt: bool = False
    #: Data came for this socket_id before the module said OK to QIOPEN: of an earlier connection, and more of it may
    #: come; or that OK was lost, and they are this one's.
    is_mixed: bool = False
    #: The application wants no more events but ConnectionEnded.
    is_released: bool = False
    #: The application was told that it is open. UDP: it may be opening again, because the module lost the socket.
    was_open: bool = False
    #: Times in a row that it was opened again, with no datagram that the module took in between.
    reopenings: int = 0

    nodelay: bool = False
    rai: int = 0
    #: Seconds without any acknowledgement until the connection is given up.
    user_timeout: float = 120.0

    #: Seconds without a word from the peer after which the module is asked whether it has the connection (SO_KEEPALIVE
    #: and TCP_KEEPIDLE); 0: never. And when there was a sign of its life.
    keepalive: float = 0.0
    alive_at: float = 0.0

    #: Bytes that the application has ready, as last told.
    available: int = 0
    #: When they may be taken.
    ready_at: float = 0.0
    #: A segment taken but not known to be in the module: to be sent (again) before anything else.
    segment: bytes | None = None
    #: The following segment, taken early to know whether ``segment`` ends the burst (RAI only).
    lookahead: bytes | None = None
    #: The segment is being sent: the answer is not there.
    is_sending: bool = False
    #: The segment was sent and its fate is unknown: ``_segments`` finds it out.
    is_in_doubt: bool = False
    #: A SEND OK came late that can only be its own.
    has_late_ok: bool = False
    #: The module has answered the question for its count since, if only by a refusal: it waits for no payload.
    is_heeded: bool = False
    #: It had said OK to all of the segment, so that it waits for none of its payload.
    is_taken: bool = False
    #: Its outcome may still come: for how many seconds from the first look at the count, and until when.
    awaits_outcome: bool = False
    outcome_patience: float = 0.0
    outcome_due: float | None = None
    #: What the module said when it refused the segment, with its number if it gave one.
    refusal: str = ""
    refusal_code: int | None = None
    #: UDP: QISTATE was asked whether the module, which refuses the datagram again and again, still has the socket.
    is_sought: bool = False
    #: QISTATE of this socket alone was refused: all of them are asked for.
    is_state_refused: bool = False
    #: Times in a row that both forms of QISTATE were answered with an error.
    state_refusals: int = 0
    #: How often the segment was refused (or, QUEUED and OPENING, the opening), when last, and when it goes out again.
    tries: int = 0
    refused_at: float = 0.0
    retry_at: float = 0.0
    #: Since when the segment has not got through.
    stalled_at: float | None = None
    #: Seconds to the next look at the count (OPENING: at the state); answers of QISTATE in a row without this socket.
    look_interval: float = 0.0
    unlisted: int = 0
    #: Service in bytes up to which it was served, on a scale that all connections share.
    served: int = 0
    #: Bytes that the module has certainly taken.
    sent: int = 0
    #: Received before the module said that the connection is open.
    early: list[bytes] | None = None

    #: No more will come from the application once ``source`` is empty.
    is_finished: bool = False
    #: SHUT_WR: stays readable after the flush.
    is_half_closed: bool = False
    #: When to stop waiting for acknowledgement (finished) or for the peer (half-closed).
    linger: float = 0.0
    linger_deadline: float | None = None
    #: Everything sent is known to be acknowledged.
    is_acked: bool = True
    #: Something arrived since the last send.
    is_answered: bool = True
    acked: int = 0
    #: The module's count was found to be another than ``sent``.
    is_miscounted: bool = False
    #: When QIOPEN is not tried again any more.
    open_deadline: float | None = None
    #: It said ERROR to QIOPEN, and is to be asked why.
    is_reason_wanted: bool = False
    #: When QIOPEN went out; and seconds from there to its outcome, with TCP one round trip at the least.
    opening_at: float = 0.0
    round_trip: float = 0.0
    #: When the module took the last segment.
    sent_at: float = 0.0
    #: When anything was acknowledged last, or sending began.
    progress_at: float = 0.0
    ack_query_at: float | None = None
    ack_interval: float = FIRST_ACK_QUERY

    #: Something arrived since the last segment was begun: its answer may well come before SEND OK.
    has_heard: bool = True
    #: The module said closed, and when it did; JUDGING: when to decide without an answer.
    has_closed: bool = False
    closed_at: float = 0.0
    #: JUDGING: the module has no count of bytes any more.
    is_count_gone: bool = False
    judge_due: float | None = None
    #: It is an end of file, which is told when QICLOSE was answered; and when to tell it at the latest.
    is_ending: bool = False
    end_due: float | None = None
    #: The module was found to have this socket no more.
    is_missing: bool = False
    #: The application knows of the end.
    is_end_told: bool = False
    #: Times that the count was looked at while in doubt, and when to look again (or, RELEASING, to close again).
    looks: int = 0
    look_at: float = 0.0
    #: QICLOSE attempts, and when CLOSE OK is overdue.
    close_tries: int = 0
    close_due: float | None = None
    #: What a line said of its opening after it had been taken for open.
    opening_error: OSError | None = None
    #: Since when the module has not told what the peer has acknowledged, though it was asked; None: it has.
    untold_since: float | None = None

    def move(self, phase: Phase) -> None:
        """Go to another phase."""
        assert phase in TRANSITIONS[self.phase], f"{self.phase} -> {phase}"
        self.phase = phase

    @property
    def is_about_to_end(self) -> bool:
        """The application or the peer has closed it: its socket becomes free without anybody's doing."""
        return self.is_released or self.is_finished or self.is_ending or self.phase is Phase.JUDGING

    @property
    def is_tcp(self) -> bool:
        """A stream, with acknowledgement and an end."""
        return self.service == "TCP"

    def data_available(self, size: int, segment_size: int, now: float) -> None:
        """Note that the application has ``size`` bytes ready."""
        if self.segment is None:
            if not self.is_tcp or size >= segment_size:
                self.ready_at = min(self.ready_at, now)
            elif not self.available:
                self.ready_at = now + (GATHER_TIME if self.nodelay else COALESCE_TIME)
        # Otherwise ready_at is that of the segment, and what comes now travels after it.
        self.available = size

    def has_unsent(self, segment_size: int) -> bool:
        """Whether anything that the application wrote is not in the module for certain."""
        return self.next_segment(segment_size) is not None

    def wants_to_send(self, now: float) -> bool:
        """Whether a segment may go out now."""
        if self.phase is not Phase.OPEN or self.is_in_doubt or self.is_miscounted:
            return False
        waiting = self.segment is not None or self.lookahead is not None
        return (waiting or self.available > 0) and now >= self.ready_at

    def next_segment(self, size: int) -> bytes | None:
        """Take the segment to be sent now; None when the application has nothing after all."""
        if self.segment is None:
            if self.lookahead is not None:
                self.segment, self.lookahead = self.lookahead, None
            else:
                self.segment = self._take(size)
            if self.segment is not None and self.rai:
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
        """The module has taken the segment."""
        assert self.segment is not None
        self.sent += len(self.segment)
        self.sent_at = now
        self.segment_lost()
        self.reopenings = 0
        if self.is_tcp:
            if self.is_acked:
                self.progress_at = now
            self.is_acked = self.is_answered = False
            self.ask_for_ack(now)

    def segment_lost(self) -> None:
        """Be done with the segment."""
        self.segment, self.is_in_doubt, self.awaits_outcome, self.is_sought = None, False, False, False
        self.state_refusals = 0
        self.tries, self.refusal, self.refusal_code, self.stalled_at = 0, "", None, None
        if self.is_finished:
            # With RAI the end of the data is known before its last segment is sent; now it may be closed.
            self.available = max(self.available, 1)

    def take_back(self) -> int:
        """Forget what was taken and is not in the module for certain; return how many datagrams those are."""
        number = 0 if self.is_tcp else (self.segment is not None) + (self.lookahead is not None)
        self.segment = self.lookahead = None
        return number

    def queue_again(self, now: float, attach_deadline: float) -> None:
        """UDP: forget the module's socket, so that another one is opened. What was taken waits for it."""
        self.move(Phase.QUEUED)
        self.socket_id = None
        self.reopenings += 1
        self.sent = self.tries = self.looks = 0
        self.is_sending = self.is_in_doubt = self.is_sought = self.is_accepted = False
        self.state_refusals = 0
        self.stalled_at = None
        self.early = None
        self.attach_deadline, self.ready_at = attach_deadline, now
        self.linger_deadline = None

    def ask_for_ack(self, now: float) -> None:
        """Plan the first question after a send."""
        self.ack_interval = min(FIRST_ACK_QUERY, self.user_timeout / 4)
        if self.is_finished:
            self.ack_interval = max(FIRST_CLOSE_QUERY, self._patience)
        self.ack_query_at = now + self.ack_interval

    def ask_before_close(self, now: float) -> None:
        """Plan the question whether everything was acknowledged, for when it can have been."""
        self.ack_interval = max(FIRST_CLOSE_QUERY, self._patience) / 2
        moment = max(now, self.sent_at + self._patience)
        self.ack_query_at = moment if self.ack_query_at is None else min(self.ack_query_at, moment)

    @property
    def _patience(self) -> float:
        """Seconds after a send in which its acknowledgement cannot come."""
        return min(self.round_trip, LONGEST_CLOSE_QUERY)

    def note_ack(self, sent: int, acked: int, unacked: int, now: float) -> None:
        """Take the module's account of what the peer has acknowledged."""
        if acked > self.acked:
            self.acked, self.progress_at = acked, now
        self.is_acked = unacked == 0 and sent == self.sent
        if self.is_acked:
            self.ack_query_at = None
        else:
            self.ask_again(now)

    def ask_again(self, now: float) -> None:
        """Plan the next question, later than the last one but not after the limit."""
        self.ack_interval = min(2 * self.ack_interval, LONGEST_CLOSE_QUERY if self.is_finished else self.user_timeout)
        self.ack_query_at = now + self.ack_interval
        limit = self.progress_at + self.user_timeout
        if now < limit < self.ack_query_at:
            self.ack_query_at = limit

    def is_overdue(self, now: float) -> bool:
        """Whether the peer has acknowledged nothing for too long."""
        return not self.is_acked and now >= self.progress_at + self.user_timeout

    @property
    def keepalive_due(self) -> float | None:
        """When to ask whether the module still has it."""
        if not self.keepalive or self.is_deaf:
            return None
        return max(self.alive_at, self.sent_at) + self.keepalive

    @property
    def is_deaf(self) -> bool:
        """The application takes nothing any more."""
        return self.is_finished or self.is_released

    def put_off_end(self, now: float, moment: float) -> None:
        """After "closed" something came: what else the module has to push may follow until then."""
        if self.phase is Phase.JUDGING or (self.is_ending and self.phase is Phase.RELEASING):
            self.look_at = max(self.look_at, moment)
        elif self.is_ending and self.end_due is not None:
            self.end_due = max(self.end_due, moment)

    def note_received(self) -> None:
        """Something came: the peer is alive, so there is no need to ask."""
        self.is_answered = self.has_heard = True
        if not (self.is_finished or self.is_miscounted):
            self.ack_query_at = None

    def timers(self) -> list[float]:
        """When something is due here."""
        due: list[float | None] = [self.close_due, self.judge_due, self.end_due]
        if self.phase is Phase.QUEUED:
            due += [self.attach_deadline, self.socket_deadline, self.ready_at]
        if self.is_in_doubt or self.phase in (Phase.OPENING, Phase.RELEASING, Phase.JUDGING):
            due.append(self.look_at)
        if self.phase is Phase.OPEN:
            due += [self.ack_query_at, self.linger_deadline]
            if self.segment is not None or self.lookahead is not None or self.available:
                due.append(self.ready_at)
        return [moment for moment in due if moment is not None]
