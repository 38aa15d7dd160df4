"""The five connections of the module: their commands, and what the answers mean.

Theory of operation. A connection is opened, used and closed by turns: the driver asks for the next turn (a command and
what to do with its result) whenever the module is free; nothing here sends by itself. The rules that shape the turns:

* QIOPEN is alone on the line until its outcome came (BC260Y-CN TCP/IP guide 1.1 §2.3.2 note 2); only giving it up ends
that.
* A socket_id is used again only after CLOSE OK, or an ERROR to QICLOSE, which says that it is not open.
* CLOSE OK names no socket, so there is one close at a time.
* A send whose fate is unknown is settled by the module's own count of bytes, never by guessing.
* A UDP socket that the module has lost is opened again under the same key: datagrams know no connection.
* The line ``closed`` says neither who ended the connection, nor that no data follows it. It is an end of file where
everything that was written was acknowledged or answered, whatever QISTATE says: the module may have forgotten the
socket, or give either of its states for either end. Its state has the last word only where the fate of bytes is not
known: then all but "remote closing" is a reset. The application is told once QICLOSE was answered; what is pushed until
then is delivered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from errno import EADDRINUSE, ECONNREFUSED, ECONNRESET, EMFILE, ENETDOWN, ETIMEDOUT
from functools import partial
from itertools import count

from nbsocket._at import (
    QICLOSE,
    QIGETERROR,
    QIOPEN,
    QISTATE,
    CommandTimeout,
    FinalResult,
    QISENDQuery,
    QISTATERead,
)
from nbsocket._driver._connection import Connection, Phase, Source
from nbsocket._driver._events import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DataReceived,
    Event,
    Log,
    PeerClosed,
)
from nbsocket._driver._opening import (
    ABSENCES,
    ABSENT_TIME,
    CHECK_TIME,
    CHECKED_TRIES,
    FIRST_LOOK,
    HINT_PAUSE,
    NAMELESS_TIME,
    NETWORK_RESULTS,
    PASSING_RESULTS,
    SETTLING_TIME,
    STATE_PAUSE,
    Finding,
    finding_of,
    retry_pause,
    says_no_socket,
)
from nbsocket._driver._segments import CLOSED_RESULTS, Segments, read_account, read_code, read_rows
from nbsocket._driver._settings import Settings
from nbsocket._driver._turn import Turn
from nbsocket._errors import error_from_result, make_error

__all__ = ["SOCKET_IDS", "Links", "Turn"]

#: The module has sockets 0 to 4. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.2.
SOCKET_IDS = range(5)

#: Seconds until the outcome of QIOPEN. Source: the same, note 2, and a margin.
OPEN_TIMEOUT = 65.0
#: Seconds that CLOSE OK may take (50 ms to 2 s were seen), and how often QICLOSE is tried.
CLOSE_TIMEOUT = 10.0
CLOSE_TRIES = 3
#: Seconds until QICLOSE is tried again when it was refused for another reason.
CLOSE_RETRY_TIME = 1.0
#: Seconds that a chosen local port stays busy after its close. Source: the same, note 4.
PORT_HOLD_TIME = 70.0
#: Outcomes of an opening that failed, where others are about an id that is in use: name, connection, closed, time-out.
FAILED_RESULTS = frozenset({565, 566, 567, 569})
#: Seconds beyond its pause that an opening waits for another try only because another one has the line: longer than a
#: close that is never confirmed.
LONG_WAIT = 35.0
#: Seconds for which a module that does not tell the count is asked for it before a connection whose time-out is over is
#: given up: what the peer has acknowledged is not known meanwhile.
COUNT_PATIENCE = 15.0
#: Seconds until a count that is another than ours is looked at again.
SECOND_LOOK = 2.0
#: Seconds without a push after the line "closed", until QICLOSE ends what the module may still have to push. A program
#: that knows that the answer is whole closes by itself meanwhile.
END_DELAY = 0.25
#: The same once a push came after the end of file of another connection: this module takes its time.
LONG_END_DELAY = 1.0
#: Seconds for which the line must be quiet when the end of file is told without CLOSE OK.
QUIET_TIME = 0.1
#: Seconds after "closed" for which the pushes of other connections put that off, which may go before ours.
LONGEST_DETOUR = 2.0
#: Seconds that the end of file waits for CLOSE OK after the OK of QICLOSE.
END_PATIENCE = 0.5
#: Seconds to find out how the peer closed, longer than an opening keeps the line for itself; then it is taken for a
#: reset: an end that was none would hide what the peer had yet to send.
JUDGE_TIMEOUT = OPEN_TIMEOUT + 15.0
#: Times that the count, and the state, are asked for again after "closed" when there is no sound answer.
JUDGE_TRIES = 2
#: State of QISTATE after an orderly end by the peer. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4.
STATE_REMOTE_CLOSING = 4
#: Seconds that an opening waits for its outcome after "closed" has come: the two lines may have changed places.
EARLY_CLOSE_TIME = 0.5
#: Seconds in which the id of a connection that its peer has closed is not used again: a push that is late would be
#: taken for the next connection's. More than the time in which pushes behind "closed" still count (END_PATIENCE). The
#: latter once this module has pushed anything after the end.
ID_REST, LONG_ID_REST = 0.75, 5.0
#: A half-closed connection is given up after so many seconds without data, unless a longer linger time is set.
HALF_CLOSED_IDLE = 60.0

#: Seconds in which a datagram that is being sent at the end of the linger time is still waited for.
SENDING_TIME = 5.0
#: Times in a row that a UDP socket is opened again before the datagram at hand is given up.
REOPENINGS = 3

WARNING, INFO = 30, 20


class Links:
    """Table and life of the connections."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        counters: dict[str, int],
        segment_size: int,
        settings: Settings,
        is_receiving: Callable[[], bool] = lambda: False,
    ) -> None:
        self._emit = emit
        self._counters = counters
        self._segment_size = segment_size
        self._is_hex = settings.is_hex
        self._settings = settings
        #: Whether a line or a payload has begun to come, and not ended.
        self._is_receiving = is_receiving
        #: When the module's last bytes came.
        self.heard_at = float("-inf")
        self._keys = count(1)
        self._by_key: dict[int, Connection] = {}
        self._order: deque[Connection] = deque()
        self._free_ids: deque[int] = deque(SOCKET_IDS)
        #: Until when an id that is free is not used again, see ID_REST.
        self._rests_until: dict[int, float] = {}
        #: Ids for which data came after the end, since they were used last: the log tells once.
        self._late_ids: set[int] = set()
        #: A socket was found to be lost: others may be, too.
        self.has_lost_any = False
        #: Opened by the user's own raw commands; and those of them whose CLOSE OK is due.
        self._claimed_ids: set[int] = set()
        self._closing_claims: deque[int] = deque()
        #: Until when it is waited for: CLOSE OK names no socket, and ours could not be told from it.
        self._claims_closing_until = float("-inf")
        #: Those that are being opened, and until when the outcome may come, once somebody waits for it: the module may
        #: refuse another QIOPEN meanwhile.
        self._claims_opening: dict[int, float | None] = {}
        self._opening: Connection | None = None
        self._open_due: float | None = None
        self._port_free_at: dict[tuple[str, int], float] = {}
        #: An opening failed without a reason: sockets that nobody here has may be in the way.
        self._needs_census = False
        #: An opening failed as it does without a network: the driver asks whether it is there, and takes this back.
        self.is_network_doubted = False
        #: When the network came.
        self._attached_at = float("-inf")
        #: The firmware tells by AT+QIGETERROR what a bare ERROR was for; None: not asked yet.
        self._tells_errors: bool | None = None
        self._segments = Segments(
            emit, counters, segment_size, settings.is_hex, self._reset, self._flushed, self._reopen
        )

    # -- what the application asks for

    def open(self, service: str, host: str, port: int, local_port: int, source: Source, now: float) -> int:
        """Queue a connection and return its key."""
        QIOPEN(0, service, host, port, local_port)  # refuses what must not reach the wire
        socket_deadline = self._socket_deadline(service, now)
        if local_port:
            self._check_local_port(service, local_port, now)
        key = next(self._keys)
        attach_deadline = now + self._settings.attach_timeout
        link = Connection(key, service, host, port, local_port, source, attach_deadline, socket_deadline)
        self._by_key[key] = link
        self._order.append(link)
        return key

    def _socket_deadline(self, service: str, now: float) -> float | None:
        """None when there is a socket for one more; else when to give up waiting, if that is asked for."""
        if self._has_socket_besides(self._order):
            return None
        # For a datagram the engine closes another peer's socket instead.
        if service != "TCP" or not self._settings.wait_for_socket:
            raise make_error(EMFILE, f"the module has only {len(SOCKET_IDS)} sockets and all are in use")
        return now + self._settings.wait_for_socket

    @property
    def has_socket(self) -> bool:
        """There is a socket for one more connection, as soon as those that end are free."""
        return self._has_socket_besides(self._order)

    @property
    def is_full(self) -> bool:
        """Every socket is held by an open connection, or by the user's own."""
        held = [link for link in self._order if link.phase in (Phase.OPEN, Phase.JUDGING)]
        in_use = sum(not (link.is_released or link.is_finished) for link in held)
        return in_use + len(self._claimed_ids) >= len(SOCKET_IDS)

    def _has_socket_besides(self, links: Iterable[Connection]) -> bool:
        """Whether these and the user's own leave a socket, as soon as those that end are free."""
        in_use = sum(not link.is_about_to_end for link in links)
        return in_use + len(self._claimed_ids) < len(SOCKET_IDS)

    def _check_local_port(self, service: str, local_port: int, now: float) -> None:
        if any(link.service == service and link.local_port == local_port for link in self._order):
            raise make_error(EADDRINUSE, f"local port {local_port} is in use by another connection")
        wait = self._port_free_at.get((service, local_port), now) - now
        if wait > 0:
            raise make_error(
                EADDRINUSE, f"the module keeps local port {local_port} busy for another {wait:.0f} s after its close"
            )

    def data_available(self, key: int, size: int, now: float) -> None:
        """The application has ``size`` bytes ready (of the next datagram)."""
        link = self._by_key.get(key)
        if link is not None:
            link.data_available(size, self._segment_size, now)

    def end_of_data(self, key: int, linger: float, now: float) -> None:
        """The application closed: flush, wait for acknowledgement within ``linger`` seconds, close."""
        link = self._by_key.get(key)
        if link is None:
            return
        if link.phase in (Phase.QUEUED, Phase.OPENING):
            if link.is_tcp:
                self.abort(key, now)
            else:  # what was written goes out once it is open
                link.is_finished, link.linger = True, linger
            return
        link.is_finished, link.linger_deadline = True, now + linger
        link.available = max(link.available, 1)
        link.ready_at = min(link.ready_at, now)
        if link.phase is Phase.JUDGING or link.is_ending:
            self._finish_closed(link)

    def half_close(self, key: int, linger: float, now: float) -> None:
        """The application will write no more but still reads."""
        link = self._by_key.get(key)
        if link is not None and link.phase is Phase.OPEN:
            link.is_half_closed, link.linger = True, max(linger, HALF_CLOSED_IDLE)
            link.linger_deadline = now + link.linger
            link.available = max(link.available, 1)
            link.ready_at = min(link.ready_at, now)

    def abort(self, key: int, now: float) -> None:
        """Close at once; what was not sent is dropped."""
        link = self._by_key.get(key)
        if link is None:
            return
        link.is_released = True
        if link.phase is Phase.QUEUED:
            self._gone(link, now)
        elif link.phase in (Phase.OPENING, Phase.OPEN, Phase.JUDGING):
            self._release(link)
        link.is_ending = False

    def set_option(self, key: int, name: str, value: float) -> None:
        """Set ``nodelay``, ``rai``, ``keepalive`` (seconds of silence; 0: off) or ``user_timeout`` (seconds; 0: the
        settings' ``ack_timeout``, as for Linux)."""
        link = self._by_key.get(key)
        if link is None:
            return
        if name == "nodelay":
            link.nodelay = bool(value)
        elif name == "rai":
            link.rai = int(value)
        elif name == "keepalive":
            link.keepalive = float(value) if link.is_tcp else 0.0
        elif name == "user_timeout":
            link.user_timeout = float(value) or self._settings.ack_timeout
        else:
            raise ValueError(f"no such option: {name}")

    # -- sockets that belong to nobody here

    def claim(self, socket_id: int, is_opening: bool = False) -> bool:
        """A socket of the module is not ours: leave it alone. Return whether that is new, and it was free."""
        if socket_id not in self._free_ids:
            return False
        self._free_ids.remove(socket_id)
        self._claimed_ids.add(socket_id)
        if is_opening:
            self._claims_opening[socket_id] = None
        return True

    def claim_opened(self, socket_id: int) -> None:
        """``+QIOPEN: id,result`` came for a socket of the user's."""
        self._claims_opening.pop(socket_id, None)

    def disclaim(self, socket_id: int, is_closed: bool) -> None:
        """The user closes it; without ``is_closed`` CLOSE OK is still to come."""
        if socket_id not in self._claimed_ids:
            return
        self._claims_opening.pop(socket_id, None)
        if not is_closed:
            self._closing_claims.append(socket_id)
            self._claims_closing_until = self.heard_at + CLOSE_TIMEOUT
            return
        self._claimed_ids.remove(socket_id)
        self._free_ids.append(socket_id)
        if socket_id in self._closing_claims:
            self._closing_claims.remove(socket_id)

    def is_claimed(self, socket_id: int) -> bool:
        """Whether a socket of the module is the user's own."""
        return socket_id in self._claimed_ids

    # -- what the table tells

    @property
    def is_anybody_queued(self) -> bool:
        """Whether an application waits for its connection to be opened. Thread: any, for information."""
        return any(link.phase is Phase.QUEUED for link in tuple(self._order))

    def socket_id(self, key: int) -> int | None:
        """The module's number of a connection's socket; None while it has none."""
        link = self._by_key.get(key)
        return link.socket_id if link is not None else None

    @property
    def is_at_rest(self) -> bool:
        """Nothing is open or on its way."""
        return not self._order

    @property
    def is_quiet(self) -> bool:
        """The module may sleep: only idle UDP connections at the most."""
        return all(link.phase is Phase.OPEN and not link.is_tcp and not self._is_busy(link) for link in self._order)

    def _is_busy(self, link: Connection) -> bool:
        return bool(link.available or link.segment is not None or link.lookahead is not None or link.is_finished)

    def is_settled(self, key: int) -> bool:
        """Whether a connection is gone, or open with nothing unsent and nothing unacknowledged."""
        link = self._by_key.get(key)
        if link is None:
            return True
        return link.phase is Phase.OPEN and not self._is_busy(link) and link.ack_query_at is None

    @property
    def has_work(self) -> bool:
        """Something will want the module awake."""
        return any(link.phase is not Phase.OPEN or self._is_busy(link) for link in self._order)

    @property
    def is_opening(self) -> bool:
        """QIOPEN has the line for itself."""
        return self._opening is not None

    @property
    def is_closing(self) -> bool:
        """A CLOSE OK is due for one of ours."""
        return any(link.phase is Phase.CLOSING for link in self._order)

    @property
    def own_socket_ids(self) -> frozenset[int]:
        """The module's numbers in use."""
        return frozenset(link.socket_id for link in self._order if link.socket_id is not None)

    @property
    def open_socket_ids(self) -> frozenset[int]:
        """The module's numbers of the connections that are open."""
        links = (link for link in self._order if link.phase is Phase.OPEN)
        return frozenset(link.socket_id for link in links if link.socket_id is not None)

    def open_links(self) -> Iterator[Connection]:
        """The connections that are open."""
        return (link for link in self._order if link.phase is Phase.OPEN)

    def lost(self, link: Connection, error: OSError, now: float) -> None:
        """The module has this open connection no more, and the others may be there."""
        if link.is_tcp:
            self._reset(link, error)
        else:
            self._closed_datagrams(link, now)

    def unsent(self, key: int) -> int:
        """Bytes that were taken from the application and are not in the module, as far as is known."""
        link = self._by_key.get(key)
        return 0 if link is None else len(link.segment or b"") + len(link.lookahead or b"")

    def socket_id_of(self, key: int) -> int | None:
        """The module's number of an open connection."""
        link = self._by_key.get(key)
        return link.socket_id if link is not None and link.phase is Phase.OPEN else None

    def deadlines(self) -> Iterator[float]:
        """When anything is due."""
        if self._open_due is not None:
            yield self._open_due
        yield from (due for due in self._claims_opening.values() if due is not None)
        for link in self._order:
            yield from link.timers()
        if self._closing_claims and any(link.phase is Phase.RELEASING for link in self._order):
            yield self._claims_closing_until
        if self._rests_until and self._rest_hinders():
            yield max(min(self._rests_until.values()), self.heard_at + QUIET_TIME)

    # -- turns

    def control_turn(self, now: float) -> Turn | None:
        """What must not wait: segments that go out again, closes, doubts, how a peer closed, acknowledgement."""
        if (resend := self._segments.resend_turn()) is not None:
            return resend
        if self._needs_census:
            return Turn(QISTATERead(), self._take_census)
        is_closing = self.is_closing or (bool(self._closing_claims) and now < self._claims_closing_until)
        for link in self._order:
            turn = self._control_turn_of(link, is_closing, now)
            if turn is not None:
                return turn
        return None

    def _control_turn_of(self, link: Connection, is_closing: bool, now: float) -> Turn | None:
        if link.socket_id is None:
            return None
        if link.phase is Phase.JUDGING:
            turn = self._judge_turn(link, now)
            if turn is not None:
                return turn
        if link.phase is Phase.RELEASING:
            return self._close_turn(link, now) if now >= link.look_at and not is_closing else None
        if link.phase is not Phase.OPEN:
            return None
        if link.is_in_doubt:
            return self._segments.look_turn(link, now)
        if link.ack_query_at is not None and now >= link.ack_query_at and link.segment is None:
            return Turn(QISENDQuery(link.socket_id), partial(self._acknowledge, link))
        return None

    def open_turn(self, now: float) -> Turn | None:
        """The next QIOPEN; call only when the network is there."""
        if self._opening is not None or self._rested_id(now) is None:
            return None
        link = next((link for link in self._order if link.phase is Phase.QUEUED and now >= link.ready_at), None)
        if link is None or self.may_be_refused(now):
            return None
        link.socket_id = self._take_id(now)
        link.socket_deadline, link.opening_at = None, now
        if link.open_deadline is None:
            link.open_deadline = now + OPEN_TIMEOUT
        elif now > link.ready_at + LONG_WAIT:
            link.open_deadline += now - link.ready_at  # another opening had the line
        link.is_accepted, link.unlisted, link.is_reason_wanted = False, 0, False
        link.is_hurt = link.is_mixed = False
        link.look_at, link.look_interval = now + FIRST_LOOK, FIRST_LOOK
        link.move(Phase.OPENING)
        self._opening, self._open_due = link, now + OPEN_TIMEOUT
        self._counters["opens"] += 1
        command = QIOPEN(link.socket_id, link.service, link.host, link.port, link.local_port)
        return Turn(command, partial(self._open_answered, link))

    def _rested_id(self, now: float) -> int | None:
        """The id that is free for longest, those left out whose last connection may have something to push yet."""
        return next((number for number in self._free_ids if self._is_rested(number, now)), None)

    def _is_rested(self, socket_id: int, now: float) -> bool:
        """What is on the line when the rest is over may be of the last connection, or go before what is."""
        until = self._rests_until.get(socket_id)
        if until is None or now >= until + LONGEST_DETOUR:
            return True
        return now >= until and not self._is_line_busy(now)

    def _is_line_busy(self, now: float) -> bool:
        return self._is_receiving() or now < self.heard_at + QUIET_TIME

    def _take_id(self, now: float) -> int:
        socket_id = self._rested_id(now)
        assert socket_id is not None
        self._free_ids.remove(socket_id)
        self._rests_until.pop(socket_id, None)
        self._late_ids.discard(socket_id)
        return socket_id

    def _rest_hinders(self) -> bool:
        """Somebody waits for a socket, and the only ones that are free have to rest."""
        is_any_rested = any(number not in self._rests_until for number in self._free_ids)
        return not is_any_rested and self.is_anybody_queued

    def opening_turn(self, now: float) -> Turn | None:
        """What is asked while an opening has the line for itself: why it was refused, or what has become of it."""
        link = self._opening
        if link is None or link.socket_id is None:
            return None
        if link.is_reason_wanted:
            return Turn(QIGETERROR(), partial(self._reason_told, link))
        if now >= link.look_at:
            command = QISTATERead() if link.is_state_refused else QISTATE(link.socket_id)
            return Turn(command, partial(self._opening_seen, link))
        return None

    def hint_at_outcome(self, now: float) -> None:
        """Something came that makes no sense: it may have been the outcome of an opening, so that is asked for soon."""
        link = self._opening
        if link is not None and link.is_accepted and link.look_interval == FIRST_LOOK:
            link.look_at = min(link.look_at, now + HINT_PAUSE)

    def network_came(self, now: float, waited: float) -> bool:
        """The module is registered, after so many seconds that are none of an opening's; return whether it was not."""
        is_new = waited > CHECK_TIME or self._attached_at == float("-inf")
        if is_new:
            self._attached_at = now
        for link in self._order:
            if link.phase is Phase.QUEUED and link.open_deadline is not None:
                link.open_deadline += waited
                link.ready_at = max(link.ready_at, now)
        return is_new

    def may_be_refused(self, now: float) -> bool:
        """The module is at an opening that was given up, or the user's own, and may refuse what needs the network."""
        for socket_id, due in tuple(self._claims_opening.items()):
            if due is None:
                self._claims_opening[socket_id] = now + OPEN_TIMEOUT
        return bool(self._claims_opening) or any(link.is_half_open for link in self._order)

    def send_turn(self, now: float) -> Turn | None:
        """The next segment."""
        return self._segments.turn(self._order, now)

    # -- opening

    def _open_answered(self, link: Connection, result: FinalResult | None, now: float) -> None:
        if link.phase is not Phase.OPENING:
            return
        if result is None:
            link.look_at = now  # it may have been lost on its way, or only its answer
        elif result.ok:
            link.is_accepted = True
        else:
            self._open_failed(link, result.code, now)

    def _opening_seen(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Take what QISTATE says of an opening whose outcome has not come."""
        if link is not self._opening or link.socket_id is None:
            return
        # Some firmware answers ERROR for a socket that it has not; others do when they are busy.
        has_none = says_no_socket(result)
        if result is not None and not result.ok and not has_none:
            link.is_state_refused = not link.is_state_refused
        found = Finding.ABSENT if has_none else finding_of(link, read_rows(result))
        if link.has_closed and found is not Finding.UNKNOWN:
            self._closed_seen(link, found, now)
            return
        if found is Finding.OPEN or found is Finding.CLOSED:
            socket_id = link.socket_id
            self._found_open(link, now)
            link.round_trip = 0.0  # not known
            if found is Finding.CLOSED and link.phase is Phase.OPEN:
                self.peer_closed(socket_id, now)
        elif found is Finding.ABSENT:
            self._not_listed(link, now)
        elif found is Finding.FAILED:
            self._open_again(link, now, "the outcome of AT+QIOPEN was lost")
        else:
            pause = link.look_interval if found is Finding.CONNECTING else STATE_PAUSE
            link.look_interval, link.unlisted = 2 * link.look_interval, 0
            link.look_at = now + pause

    def _closed_seen(self, link: Connection, found: Finding, now: float) -> None:
        """Take what QISTATE says after "closed" came in place of the outcome."""
        if found in (Finding.CONNECTING, Finding.OPEN):
            link.has_closed = False  # that was about another connection
            link.look_at = now + FIRST_LOOK
        if found is not Finding.CONNECTING:
            # Only what was open is reported closed.
            self._found_open(link, now)

    def _found_open(self, link: Connection, now: float) -> None:
        """The outcome of the opening was lost; and with it, perhaps, what the peer said at once."""
        assert link.socket_id is not None
        if link.is_hurt and link.is_tcp:
            self._open_again(link, now, "bytes were lost on the serial line while it was opened")
        else:
            self.opened(link.socket_id, 0, now)

    def _not_listed(self, link: Connection, now: float) -> None:
        """The module has no such socket: the command did not reach it, or it is at the name's look-up still."""
        link.unlisted += 1
        if link.unlisted < ABSENCES:
            link.look_at = now  # the line may have been hurt
        elif link.is_accepted and now < link.opening_at + ABSENT_TIME:
            link.look_at, link.unlisted = now + STATE_PAUSE, 0
        else:
            self._open_again(link, now, "the module did not answer AT+QIOPEN", is_open=link.is_accepted)

    def _open_again(self, link: Connection, now: float, reason: str, is_open: bool = True) -> None:
        """Try once more, while there is time; ``is_open``: the module may have the socket, and closes it first."""
        assert link.socket_id is not None and link.open_deadline is not None
        pause = retry_pause(link.tries)
        if now + pause >= link.open_deadline:
            self._fail(link, make_error(ETIMEDOUT, reason, command="AT+QIOPEN", result=569))
            return
        self._requeue(link, now + pause, is_open, is_half_open=is_open)

    def _requeue(self, link: Connection, at: float, is_open: bool, is_half_open: bool = False) -> None:
        assert link.socket_id is not None
        if is_open:
            self._dispose(link.socket_id, is_half_open)
        else:
            # The same id again: should the first command come to something after all, it is this connection.
            self._free_ids.appendleft(link.socket_id)
        link.tries += 1
        link.socket_id, self._opening, self._open_due = None, None, None
        link.is_accepted, link.has_closed, link.early = False, False, None
        link.ready_at = at
        link.move(Phase.QUEUED)

    def _reason_told(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Take the answer of AT+QIGETERROR after a bare ERROR."""
        if link is not self._opening:
            return
        link.is_reason_wanted = False
        code = read_code(result)
        if result is not None:
            self._tells_errors = code is not None
        if code:
            self._open_failed(link, code, now)
        else:
            self._open_failed_namelessly(link, now)

    def opened(self, socket_id: int, result: int, now: float) -> None:
        """``+QIOPEN: id,result`` came."""
        link = self._opening
        if link is None or link.socket_id != socket_id:
            opened = self._by_id(socket_id)
            if result in FAILED_RESULTS and opened is not None and opened.is_tcp and opened.phase is Phase.OPEN:
                # What was taken for its outcome was not, or this is the late one of an earlier connection: it is asked.
                command = QIOPEN(socket_id, opened.service, opened.host, opened.port, opened.local_port).line
                opened.opening_error = error_from_result(result, command)
                self.has_lost_any = True
            self._unexpected(socket_id)
            return
        if result:
            self._open_failed(link, result, now)
            return
        if link.is_mixed or (link.is_hurt and link.early and link.is_tcp):
            self._open_again(link, now, "data of an earlier connection came while it was opened")
            return
        self._opening = self._open_due = None
        link.tries, link.unlisted, link.open_deadline = 0, 0, None
        link.round_trip = now - link.opening_at
        link.move(Phase.OPEN)
        link.alive_at = now
        if not link.was_open:
            self._emit(Connected(link.key))
        link.was_open = True
        if not link.is_tcp:
            self._resume(link, now)
        for data in () if link.is_deaf else link.early or ():
            self._emit(DataReceived(link.key, data))
        link.early = None
        if link.has_closed:
            self.peer_closed(socket_id, now)

    def _resume(self, link: Connection, now: float) -> None:
        """Send what was written before the socket was there, or there again; then close if that is wanted."""
        if link.reopenings or link.is_finished:
            link.available, link.ready_at = max(link.available, 1), now
        if link.is_finished:
            link.linger_deadline = now + link.linger

    def _open_failed(self, link: Connection, result: int | None, now: float) -> None:
        assert link.socket_id is not None and link.open_deadline is not None
        if link.was_open and link.local_port:
            # The module may keep the port of the socket that it lost: better another one than none.
            self._emit(Log(INFO, f"local port {link.local_port} is not free any more: the module chooses another one"))
            self._port_free_at[link.service, link.local_port] = now + PORT_HOLD_TIME
            link.local_port = 0
            self._dispose(link.socket_id, is_half_open=result is None)
            self._queue_again(link, now)
            return
        if result is None and self._tells_errors is not False:
            link.is_reason_wanted = True
            return
        if result is None:
            self._open_failed_namelessly(link, now)
            return
        # Without a network, or just after it came, these mean "not now".
        is_network = result in NETWORK_RESULTS and (link.tries == 0 or now < self._attached_at + SETTLING_TIME)
        pause = retry_pause(link.tries)
        if (is_network or result in PASSING_RESULTS) and now + pause < link.open_deadline:
            self.is_network_doubted |= is_network and link.tries in CHECKED_TRIES
            self._requeue(link, now + pause, is_open=True)
        else:
            self._refuse_opening(link, result)

    def _open_failed_namelessly(self, link: Connection, now: float) -> None:
        """Bare ERROR: a socket that nobody here has may be in the way, the network be gone, the module be busy."""
        assert link.open_deadline is not None
        pause = retry_pause(link.tries)
        if now + pause < link.open_deadline - OPEN_TIMEOUT + NAMELESS_TIME:
            self._needs_census = True
            self.is_network_doubted |= link.tries in CHECKED_TRIES
            self._requeue(link, now + pause, is_open=True, is_half_open=True)
        else:
            self._refuse_opening(link, None)

    def _refuse_opening(self, link: Connection, result: int | None) -> None:
        assert link.socket_id is not None
        command = QIOPEN(link.socket_id, link.service, link.host, link.port, link.local_port).line
        self._opening = self._open_due = None  # its outcome is there
        self._fail(link, error_from_result(result, command, otherwise=ECONNREFUSED))

    def _fail(self, link: Connection, error: OSError) -> None:
        self._tell_failed(link, error)
        link.is_released = True
        self._release(link)

    def _tell_failed(self, link: Connection, error: OSError) -> None:
        """The last event of a connection that never was; one that was open has ConnectionEnded to come."""
        if not link.was_open:
            self._emit(ConnectFailed(link.key, error))
            del self._by_key[link.key]
            return
        self._drop_datagrams(link, str(error.strerror))
        if not (link.is_released or link.is_finished):
            self._emit(ConnectionReset(link.key, error))

    def _unexpected(self, socket_id: int) -> None:
        """Something came for a socket that nobody has: close it, or it would be in the way for ever."""
        if socket_id not in self._free_ids:
            return
        self._free_ids.remove(socket_id)
        self._dispose(socket_id)
        self._emit(Log(INFO, f"closing socket {socket_id}, which the module has open and nobody here"))

    def _take_census(self, result: FinalResult | None, now: float) -> None:
        """Close what the module has open and nobody here, such as what refused to be closed before."""
        self._needs_census = False
        for row in read_rows(result) or ():
            if row.socket_id in self._free_ids:
                self._free_ids.remove(row.socket_id)
                self._dispose(row.socket_id, is_half_open=True)

    def _dispose(self, socket_id: int, is_half_open: bool = False, close_tries: int = 0) -> None:
        """Close a socket of the module that belongs to no connection."""
        orphan = Connection(
            0, "TCP", "", 0, 0, _Nothing(), attach_deadline=0.0, phase=Phase.RELEASING, socket_id=socket_id
        )
        orphan.is_released, orphan.is_half_open, orphan.close_tries = True, is_half_open, close_tries
        self._order.append(orphan)

    # -- sending

    def timed_out(self, timeout: CommandTimeout, now: float) -> None:
        """A command had no final result in time; what waits for it is told next."""
        self._segments.timed_out(timeout, now)

    def expect_late_outcome(self, now: float) -> None:
        """Another program may have sent just now, and not had its outcome."""
        self._segments.expect_late_outcome(now)

    def late_outcome(self, text: str, now: float) -> None:
        """``SEND OK``, ``SEND FAIL`` or ``OK`` came that nothing waited for."""
        self._segments.late_outcome(text, self._order, now)

    def _drop_datagrams(self, link: Connection, reason: str) -> None:
        """Give up the datagrams that were taken from the application and are not in the module for certain."""
        self._segments.count_lost(link, link.take_back(), reason)

    def _reopen(self, link: Connection, now: float) -> None:
        """The module has lost a UDP socket: open another one, and send what it has refused."""
        if link.reopenings >= REOPENINGS:
            self._drop_datagrams(link, "the module loses the socket again and again")
            self._release(link)
            return
        self.has_lost_any = True
        assert link.socket_id is not None
        self._emit(Log(INFO, f"the module has lost its UDP socket {link.socket_id}: another one is opened"))
        # The module may have it in a state in which it cannot send; ERROR says that it has none, as is known.
        self._dispose(link.socket_id, close_tries=1)
        self._queue_again(link, now)

    def _queue_again(self, link: Connection, now: float) -> None:
        if link.is_sending or (link.is_in_doubt and link.awaits_outcome):
            # It may have gone out, and must not arrive twice.
            self._segments.lose(link, "the module lost the socket while it was sent")
        if self._opening is link:
            self._opening = self._open_due = None
        link.queue_again(now, now + self._settings.attach_timeout)

    def drop_doubtful(self) -> None:
        """Data mode: what brings the module back may fill a payload that it says it refused."""
        self._segments.drop_doubtful(self._order)

    def heed(self) -> None:
        """The module has answered a question with more than OK: it waits for no payload."""
        for link in self._order:
            link.is_heeded |= link.is_in_doubt

    def doubt_counts(self, now: float) -> None:
        """The module has begun to wait for payload that nobody means for it: what it gets may be in any stream."""
        for link in self._order:
            if link.phase is Phase.OPEN and link.is_tcp:
                link.is_miscounted, link.ack_query_at = True, now

    def forget_look(self) -> None:
        """A script of the module's life has the line next."""
        self._segments.forget_look()

    # -- acknowledgement

    def _acknowledge(self, link: Connection, result: FinalResult | None, now: float) -> None:
        if link.phase is not Phase.OPEN:
            return
        account = read_account(result, link.is_tcp)
        if account is not None and account.sent != link.sent:
            self._miscounted(link, now)
            return
        if account is None:
            self.has_lost_any |= result is not None and result.code in CLOSED_RESULTS
            link.ask_again(now)
            link.untold_since = now if link.untold_since is None else link.untold_since
            if link.is_overdue(now) or link.is_miscounted:
                link.ack_query_at = min(link.ack_query_at or now, now + COUNT_PATIENCE / 3)
            is_judged = now >= link.untold_since + COUNT_PATIENCE
        else:
            link.note_ack(account.sent, account.acked, account.unacked, now)
            link.untold_since, link.is_miscounted, is_judged = None, False, True
        if link.is_acked:
            self._flushed(link, now)
        elif is_judged and link.is_overdue(now) and not link.is_answered:
            self._reset(
                link, make_error(ETIMEDOUT, f"the peer acknowledged nothing for {link.user_timeout:g} s", result=569)
            )

    def _miscounted(self, link: Connection, now: float) -> None:
        """A SEND OK was none, or something else became payload. One look may come before "closed", which zeroes the
        count."""
        if link.is_miscounted:
            self._reset(link, make_error(ECONNRESET, "the module lost count of the data sent", command="AT+QISEND"))
        else:
            link.is_miscounted, link.ack_query_at = True, now + SECOND_LOOK

    def _flushed(self, link: Connection, now: float) -> None:
        """Nothing is left to send; if the application is gone too, end it once all is acknowledged."""
        if not link.is_finished or link.phase is not Phase.OPEN or link.has_unsent(self._segment_size):
            return
        if link.is_tcp and not link.is_acked:
            link.ask_before_close(now)
            return
        self._release(link)

    # -- receiving and closing

    def received(self, socket_id: int, data: bytes, now: float) -> None:
        """Payload came."""
        for other in self._order:
            other.put_off_end(now, min(now + self._end_delay, other.closed_at + LONGEST_DETOUR))
        link = self._by_id(socket_id)
        if link is None:
            self._came_late(socket_id, data)
            self._unexpected(socket_id)
        elif link.phase is Phase.OPENING and link.is_accepted:
            link.early = [*(link.early or ()), data]
        elif link.is_ending or (link.phase in (Phase.OPEN, Phase.JUDGING) and not link.is_deaf):
            link.note_received()
            link.alive_at = now
            if link.is_half_closed:
                link.linger_deadline = now + link.linger
            link.put_off_end(now, now + self._end_delay)
            if link.close_due is not None:
                link.close_due = now + CLOSE_TIMEOUT  # CLOSE OK is behind what it has yet to push
            self._emit(DataReceived(link.key, data))
        elif link.phase is Phase.OPENING or link.is_end_told or not link.key:
            link.is_mixed = True
            self._came_late(socket_id, data)

    @property
    def _end_delay(self) -> float:
        """Seconds without a push that make a stream closed by its peer complete."""
        return LONG_END_DELAY if self._counters["late_data"] else END_DELAY

    def _came_late(self, socket_id: int, data: bytes) -> None:
        """Data of a connection whose end was told already."""
        self._counters["late_data"] += 1
        if socket_id not in self._late_ids:
            self._emit(Log(WARNING, f"{len(data)} bytes came for socket {socket_id} after its end; they are dropped"))
        self._late_ids.add(socket_id)

    def peer_closed(self, socket_id: int, now: float) -> None:
        """``+QIURC: "closed"`` came."""
        link = self._by_id(socket_id)
        if link is None:
            self._unexpected(socket_id)
        elif link.phase is Phase.OPENING and link.is_accepted and link.is_tcp:
            # The outcome may come behind it; before the OK it is about the connection that had the id before.
            link.has_closed = True
            link.look_at = min(link.look_at, now + EARLY_CLOSE_TIME)
        elif link.phase is Phase.OPEN:
            if not link.is_tcp:
                self._closed_datagrams(link, now)
                return
            link.has_closed, link.closed_at = True, now
            self._segments.believe_late_ok(link, now)
            if link.is_finished:
                self._finish_closed(link)
            elif link.is_in_doubt or (not link.is_sending and link.has_unsent(self._segment_size)):
                self._reset(link, make_error(ECONNRESET, "the connection was closed with data on its way", result=567))
            else:
                link.move(Phase.JUDGING)
                link.looks, link.look_at, link.judge_due = 0, now + self._end_delay, now + JUDGE_TIMEOUT

    def _closed_datagrams(self, link: Connection, now: float) -> None:
        """The module says so of a UDP socket, which has nothing to close: it has lost it."""
        if link.is_sending or link.is_in_doubt:
            return  # the answer to the send will show
        if self._is_busy(link):
            self._reopen(link, now)
        else:
            self._release(link)

    def _finish_closed(self, link: Connection) -> None:
        """The application is gone, too: there is nobody to tell how it ended."""
        if link.is_finished and link.has_unsent(self._segment_size):
            self._emit(Log(WARNING, f"{link.host} port {link.port} closed with data on its way to it"))
        link.is_ending = False
        if link.phase in (Phase.OPEN, Phase.JUDGING):
            self._release(link)

    def _judge_turn(self, link: Connection, now: float) -> Turn | None:
        """Decide whether "closed" is an end of file or a reset, or ask for what decides it."""
        if now < link.look_at or self._is_receiving():
            return None
        if link.is_acked or link.has_heard or link.has_unsent(self._segment_size):
            self._verdict(link, is_clean=True)
            return None
        assert link.socket_id is not None
        if link.is_count_gone:
            return Turn(QISTATE(link.socket_id), partial(self._judge_by_state, link))
        return Turn(QISENDQuery(link.socket_id), partial(self._judge_by_count, link))

    def _judge_by_count(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """What was written last got no answer: was all of it acknowledged?"""
        if link.phase is not Phase.JUDGING:
            return
        account = read_account(result, is_tcp=True)
        if account is not None and account.sent:
            is_acked = account.sent == link.sent and account.unacked == 0
            self._verdict(link, is_clean=is_acked or link.has_heard)
        elif account is not None or not self._judges_again(link, result, now):
            # Set to 0 at the end of a connection (§4.2.6), or forgotten.
            link.is_count_gone, link.looks = True, 0

    def _judge_by_state(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Nothing tells what became of the last bytes but, for what it is worth, the state."""
        if link.phase is not Phase.JUDGING:
            return
        rows = read_rows(result)
        states = [row.state for row in rows or () if row.socket_id == link.socket_id]
        # A row that is not there, or does not tell the state, may have been hurt on the line: once more.
        is_doubtful = rows is None or -1 in states or (not states and not link.looks)
        if is_doubtful and self._judges_again(link, result, now):
            return
        # The answer to what was written may have come behind "closed".
        self._verdict(link, is_clean=STATE_REMOTE_CLOSING in states or link.has_heard)

    def _judges_again(self, link: Connection, result: FinalResult | None, now: float) -> bool:
        """Ask once more where the answer is missing or garbled, or the module busy."""
        if link.looks >= JUDGE_TRIES or (result is not None and result.code in CLOSED_RESULTS):
            return False
        link.looks += 1
        link.look_at = now if result is None or result.ok else now + END_DELAY
        return True

    def _verdict(self, link: Connection, is_clean: bool) -> None:
        if not is_clean:
            self._reset(link, make_error(ECONNRESET, "the peer or the network reset the connection", result=567))
        elif link.has_unsent(self._segment_size):
            self._reset(link, make_error(ECONNRESET, "the connection was closed with data on its way", result=567))
        else:
            link.is_ending = True
            self._release(link)

    def _tell_end(self, link: Connection) -> None:
        """QICLOSE was answered: nothing more comes. Tell the end of file, if nothing has spoilt it meanwhile."""
        if not link.is_ending:
            return
        if link.has_unsent(self._segment_size):
            self._reset(link, make_error(ECONNRESET, "the connection was closed with data on its way", result=567))
            return
        link.is_ending, link.end_due = False, None
        link.is_released = link.is_end_told = True
        self._emit(PeerClosed(link.key))

    def _reset(self, link: Connection, error: OSError) -> None:
        if not link.is_released:
            self._counters["resets"] += 1
            if link.is_finished:
                self._emit(
                    Log(WARNING, f"data to {link.host} port {link.port} may be lost after close: {error.strerror}")
                )
            else:
                self._emit(ConnectionReset(link.key, error))
        link.is_released, link.is_ending = True, False
        self.has_lost_any |= link.is_missing
        if link.phase not in (Phase.RELEASING, Phase.CLOSING):
            self._release(link)

    def _release(self, link: Connection) -> None:
        if self._opening is link:
            self._opening = self._open_due = None
            link.is_half_open = True
        link.move(Phase.RELEASING)
        link.linger_deadline = link.ack_query_at = link.judge_due = None
        self._drop_datagrams(link, "the socket was closed before it was sent")
        link.available, link.is_in_doubt, link.look_at = 0, False, 0.0

    def _close_turn(self, link: Connection, now: float) -> Turn:
        assert link.socket_id is not None
        link.move(Phase.CLOSING)
        link.close_tries += 1
        link.close_due = now + CLOSE_TIMEOUT
        return Turn(QICLOSE(link.socket_id), partial(self._close_answered, link))

    def _close_answered(self, link: Connection, result: FinalResult | None, now: float) -> None:
        if link.phase is not Phase.CLOSING:
            return
        if result is None:
            self._close_overdue(link, now)
        elif result.ok:
            link.end_due = now + END_PATIENCE if link.is_ending else None
        elif result.code is None and self._segments.owes_outcome(now):
            # It may refuse everything until that has come.
            self._tell_end(link)
            link.close_tries, link.close_due, link.look_at = 0, None, now + CLOSE_RETRY_TIME
            link.move(Phase.RELEASING)
        elif result.code in CLOSED_RESULTS or link.close_tries > 1 or (link.has_closed and result.code is None):
            # The bare ERROR of a module that has forgotten the socket at "closed".
            self._gone(link, now)
        else:
            # A refusal for another reason would leave the socket open in the module for ever: ask once more. What comes
            # until then still counts: the command may have been hurt on the line.
            link.close_due, link.look_at = None, now + CLOSE_RETRY_TIME
            link.move(Phase.RELEASING)

    def _close_overdue(self, link: Connection, now: float) -> None:
        link.close_due = None
        if link.close_tries < CLOSE_TRIES:
            link.move(Phase.RELEASING)
            return
        self._emit(Log(WARNING, f"the module never confirmed that socket {link.socket_id} is closed"))
        self._gone(link, now)

    def close_ok(self, now: float) -> None:
        """``CLOSE OK`` came."""
        link = next((link for link in self._order if link.phase is Phase.CLOSING), None)
        if link is not None:
            self._gone(link, now)
        elif self._closing_claims:
            self.disclaim(self._closing_claims[0], is_closed=True)

    def _gone(self, link: Connection, now: float) -> None:
        self._tell_end(link)
        link.move(Phase.GONE)
        self._drop_datagrams(link, "the socket was closed before it was sent")
        self._order.remove(link)
        if link.socket_id is not None:
            self._free_ids.append(link.socket_id)
            if link.has_closed or link.socket_id in self._late_ids:
                self._rests_until[link.socket_id] = now + (LONG_ID_REST if self._counters["late_data"] else ID_REST)
        if link.local_port and link.socket_id is not None:
            self._port_free_at[link.service, link.local_port] = now + PORT_HOLD_TIME
        if self._by_key.pop(link.key, None) is not None:
            self._emit(ConnectionEnded(link.key))

    # -- faults and time

    def handle_timeout(self, now: float, is_attached: bool, why_not: str) -> None:
        """Do what time demands."""
        for number in tuple(self._rests_until):
            if self._is_rested(number, now):
                del self._rests_until[number]
        if self._opening is not None and self._open_due is not None and now >= self._open_due:
            self._fail(self._opening, make_error(ETIMEDOUT, "the module gave no outcome of AT+QIOPEN", result=569))
        for link in tuple(self._order):
            self._handle_timeout_of(link, now, is_attached, why_not)
        for socket_id, due in tuple(self._claims_opening.items()):
            if due is not None and now >= due:
                del self._claims_opening[socket_id]

    def _handle_timeout_of(self, link: Connection, now: float, is_attached: bool, why_not: str) -> None:
        if link.phase is Phase.QUEUED and now >= link.attach_deadline and not is_attached:
            self._refuse(link, make_error(ENETDOWN, why_not), now)
        elif link.phase is Phase.QUEUED and link.socket_deadline is not None and now >= link.socket_deadline:
            if self._has_socket_besides(other for other in self._order if other.key < link.key):
                link.socket_deadline = None  # there is one, and only the line is not free
                return
            patience = self._settings.wait_for_socket
            self._refuse(link, make_error(EMFILE, f"none of the module's sockets became free in {patience:g} s"), now)
        elif link.close_due is not None and now >= link.close_due and link.phase is Phase.CLOSING:
            self._close_overdue(link, now)
        elif link.end_due is not None and now >= link.end_due and link.is_ending:
            # What is on the line at this time still belongs to it, and may be behind the answer to something else.
            link.end_due = now + QUIET_TIME if self._is_line_busy(now) else None
            if link.end_due is None:
                self._tell_end(link)
        elif link.judge_due is not None and now >= link.judge_due:
            self._verdict(link, is_clean=False)
        elif link.phase is Phase.OPEN and link.linger_deadline is not None and now >= link.linger_deadline:
            self._linger_over(link, now)

    def _linger_over(self, link: Connection, now: float) -> None:
        if link.is_sending and not link.is_tcp:
            link.linger_deadline = now + SENDING_TIME  # it cannot be called back
        elif link.is_finished:
            self._emit(Log(WARNING, f"closing {link.host} port {link.port} with data that is not acknowledged"))
            self._release(link)
        else:
            self._reset(link, make_error(ETIMEDOUT, "nothing came from the peer after shutdown(SHUT_WR)", result=569))

    def refuse_queued(self, error: OSError, now: float) -> None:
        """Fail every connection that has not begun."""
        for link in tuple(self._order):
            if link.phase is Phase.QUEUED:
                self._refuse(link, error, now)

    def _refuse(self, link: Connection, error: OSError, now: float) -> None:
        self._tell_failed(link, error)
        self._gone(link, now)

    def damaged(self, socket_id: int | None, is_contained: bool, reason: str) -> None:
        """Bytes from the module were lost: every stream that may have a gap now is cut off."""
        for link in tuple(self._order):
            if is_contained and link.socket_id != socket_id:
                continue
            link.is_hurt |= link.phase is Phase.OPENING
            if (link.phase in (Phase.OPEN, Phase.JUDGING) and link.is_tcp) or link.is_ending:
                self._reset(link, make_error(ECONNRESET, f"bytes were lost on the serial line: {reason}"))
            elif link.phase is Phase.OPEN:
                self._counters["dropped_datagrams"] += 1
            elif link.phase is Phase.OPENING and link.is_tcp and (is_contained or link.early):
                # The line that says it is open was lost, and data have come for it already: some may be among them.
                self._fail(link, make_error(ECONNRESET, f"bytes were lost on the serial line: {reason}"))

    def network_gone(self) -> None:
        """Registration or context are lost: a "closed" about now is no end that a peer has made."""
        for link in tuple(self._order):
            if link.phase is Phase.JUDGING or link.is_ending:
                self._reset(link, make_error(ECONNRESET, "the network was lost when the connection was closed"))

    def reset_streams(self, error: OSError) -> None:
        """Nothing can come of the TCP connections any more, though the module may have them still."""
        for link in tuple(self._order):
            if link.is_tcp and (link.phase in (Phase.OPEN, Phase.JUDGING) or link.is_ending):
                self._reset(link, error)

    def lost_tcp(self, error: OSError, now: float) -> None:
        """Deep sleep took the TCP connections; UDP lives on."""
        for link in tuple(self._order):
            if link.is_tcp:
                self._lose(link, error, now)

    def lost_all(self, error: OSError, now: float) -> None:
        """The module restarted or is gone: it has no sockets any more. What has not begun stays queued."""
        for link in tuple(self._order):
            self._lose(link, error, now)
        for socket_id in tuple(self._claimed_ids):
            self.disclaim(socket_id, is_closed=True)
        self._segments.clear()
        self._attached_at = float("-inf")
        self._needs_census = False

    def _lose(self, link: Connection, error: OSError, now: float) -> None:
        if link.phase is Phase.QUEUED:
            return
        if self._may_queue_again(link):
            if link.socket_id is not None:
                self._free_ids.append(link.socket_id)
            self._queue_again(link, now)
            return
        if link.phase is Phase.OPENING:
            self._fail(link, error)
        elif link.phase in (Phase.OPEN, Phase.JUDGING) or link.is_ending:
            self._reset(link, error)
        self._gone(link, now)

    def _may_queue_again(self, link: Connection) -> bool:
        """Whether a connection that the module lost is to be opened again: UDP with something to send."""
        is_wanted = link.phase is Phase.OPENING or (link.phase is Phase.OPEN and self._is_busy(link))
        return is_wanted and not (link.is_tcp or link.is_released) and link.reopenings < REOPENINGS

    def _by_id(self, socket_id: int) -> Connection | None:
        return next((link for link in self._order if link.socket_id == socket_id), None)


class _Nothing:
    """The source of a connection that nobody has."""

    def take(self, max_bytes: int) -> bytes:
        return b""
