"""From the application's connect() to an open connection: waiting for a socket, QIOPEN, and what becomes of it.

The modem tells how AT+QIOPEN went in a line of its own within 60 s (BC260Y-CN TCP/IP guide 1.1 §2.3.2). The command
may be lost or ignored, and so may that line. AT+QISTATE is answered meanwhile, and tells: state 1 while connecting, 2
when connected. A refusal may be the network's last word (566, 565, 567, 569), or mean "not now".

* QIOPEN is alone on the line until its outcome came (§2.3.2 note 2); only giving it up ends that.
* After any failure the socket_id is closed before it is used again (§2.3.2 note 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from errno import ECONNREFUSED, ECONNRESET, EMFILE, ENETDOWN, ETIMEDOUT
from ipaddress import ip_address
from socket import EAI_AGAIN
from typing import TYPE_CHECKING

from nbsocket._at import QIGETERROR, QISTATE, FinalResult, QISTATERead, SocketStatus
from nbsocket._driver._answers import CLOSED_RESULTS, PASSING_RESULTS, read_code, read_rows
from nbsocket._driver._connection import Connection
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._events import Connected, DataReceived
from nbsocket._driver._log_limit import INFO
from nbsocket._driver._phase import Phase
from nbsocket._errors import error_from_result, make_error

if TYPE_CHECKING:
    from nbsocket._driver._transitions import Transitions

__all__ = ["FIRST_LOOK", "Opening", "Queued"]

#: Results that say that there is no network: just after registration the modem has no address yet.
NETWORK_RESULTS = frozenset({561, 570, 572})
#: Seconds after the network came in which they mean "not now".
SETTLING_TIME = 30.0
#: Seconds for which an opening that is answered ERROR, without a number, is tried again.
NAMELESS_TIME = 30.0
#: Seconds until an opening is tried again; more than 1 s, for a command that follows the answer before it at once was
#: seen to be ignored.
FIRST_RETRY_PAUSE, LONGEST_RETRY_PAUSE = 1.0, 5.0
#: Seconds until the modem is asked what has become of an opening; a connection takes up to 10 s from idle. Doubled.
FIRST_LOOK = 8.0
#: Seconds until it is asked again when it gave no answer that makes sense.
STATE_PAUSE = 2.0
#: The same when something came that may have been the outcome, hurt.
HINT_PAUSE = 0.5
#: Failed tries, the first being 0, after which it is asked whether the network is there.
CHECKED_TRIES = frozenset({0, 4})
#: Answers in a row without the socket that are believed.
ABSENCES = 2
#: Seconds for which a modem that said OK may have no such socket: it may look the name up first.
ABSENT_TIME = 20.0
#: Seconds beyond its pause that an opening waits for another try only because another one has the line: longer than a
#: close that is never confirmed.
LONG_WAIT = 35.0
#: Seconds that an opening waits for its outcome after "closed" has come: the two lines may have changed places.
EARLY_CLOSE_TIME = 0.5


class SocketFinding(Enum):
    """What AT+QISTATE says of an opening."""

    #: The answer makes no sense.
    UNKNOWN = auto()
    ABSENT = auto()
    CONNECTING = auto()
    OPEN = auto()
    #: It was open, and the peer has closed it.
    CLOSED = auto()
    #: It failed, or is another socket.
    FAILED = auto()


#: By <socket_state>, -1 where it is not told. §2.3.4.
_FINDINGS = {
    -1: SocketFinding.UNKNOWN,
    1: SocketFinding.CONNECTING,
    2: SocketFinding.OPEN,
    4: SocketFinding.CLOSED,
}


def is_address(host: str) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def retry_pause(tries: int) -> float:
    """Seconds until the next try, after so many."""
    return min(FIRST_RETRY_PAUSE * 2.0 ** min(tries, 10), LONGEST_RETRY_PAUSE)


class Queued(Phase):
    """It waits for registration, a free socket, another try, or its turn on the line."""

    NEXT = frozenset({"Opening", "Gone"})

    def __init__(
        self,
        link: Connection,
        to: Transitions,
        attach_deadline: float,
        *,
        socket_deadline: float | None = None,
        try_at: float = 0.0,
    ) -> None:
        super().__init__(link, to)
        #: When the network must be there at the latest.
        self.attach_deadline = attach_deadline
        #: When one of the modem's sockets must be free at the latest, while all were in use at the beginning.
        self.socket_deadline = socket_deadline
        #: When it may be tried.
        self.try_at = try_at
        #: The look-up of its name, while one is under way, and why it failed.
        self._look_up_id: int | None = None
        self._failure: OSError | None = None
        #: Failed look-ups, and until when another one is tried.
        self._look_ups = 0
        self._look_up_until: float | None = None

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        moments += (self.attach_deadline, self.socket_deadline, self.try_at)

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        link, to = self.link, self.to
        if now >= self.attach_deadline and not is_attached:
            to.refuse(link, make_error(ENETDOWN, why_not()), now)
        elif self.socket_deadline is not None and now >= self.socket_deadline:
            if to.table.has_socket_besides(other for other in to.table.order if other.key < link.key):
                self.socket_deadline = None  # there is one, and only the line is not free
                return
            seconds = to.settings.wait_for_socket
            to.refuse(link, make_error(EMFILE, f"none of the module's sockets became free in {seconds:g} s"), now)

    def network_came(self, now: float, waited: float) -> None:
        """The modem is registered, after so many seconds that are none of an opening's."""
        if self.link.open_deadline is not None:
            self.link.open_deadline += waited
            self.try_at = max(self.try_at, now)

    @property
    def wants_address(self) -> bool:
        """Its name must be looked up first."""
        link = self.link
        return not (self.to.firmware.profile.opens_by_name or link.address or is_address(link.host))

    def look_up(self, now: float) -> bool:
        """Have the name looked up; return whether that failed for good, so that the opening is given up."""
        if self._look_up_until is None:
            self._look_up_until = now + self.to.firmware.profile.open_timeout
        pause = retry_pause(self._look_ups)
        if self._failure is not None and self._failure.errno == EAI_AGAIN and now + pause < self._look_up_until:
            self.try_at, self._look_ups = now + pause, self._look_ups + 1
            self._failure = None
        elif self._failure is not None:
            self.to.refuse(self.link, self._failure, now)
            return True
        elif self._look_up_id is None:
            self._look_up_id = self.to.tasks.look_up(self.link.host, self._looked_up, now)
        return False

    def end_look_up(self) -> None:
        """Nobody wants the address any more."""
        if self._look_up_id is not None:
            self.to.tasks.cancel(self._look_up_id)
            self._look_up_id = None

    def _looked_up(self, addresses: list[str] | None, error: OSError | None) -> None:
        self._look_up_id, self._failure = None, error
        if addresses:
            self.link.address = addresses[0]

    def open(self, now: float) -> Dispatch:
        """Begin the opening."""
        link, to = self.link, self.to
        link.socket_id = to.ids.take(now)
        if link.open_deadline is None:
            link.open_deadline = now + to.firmware.profile.open_timeout
        elif now > self.try_at + LONG_WAIT:
            link.open_deadline += now - self.try_at  # another opening had the line
        opening = Opening(link, to, self.attach_deadline, now)
        to.move(link, opening)
        to.opening = opening
        to.counters["opens"] += 1
        return Dispatch(to.open_command(link, link.socket_id), opening.answered)

    def end_of_data(self, linger: float, now: float) -> None:
        if self.link.is_tcp:
            self.abort(now)
        else:  # what was written goes out once it is open
            self.link.is_finished, self.link.linger = True, linger

    def abort(self, now: float) -> None:
        self.link.is_released = True
        self.to.gone(self.link, now)

    def lost(self, error: OSError, now: float) -> None:
        """It has no socket that could be lost, and stays queued."""


class Opening(Phase):
    """QIOPEN is out, its outcome is not there."""

    NEXT = frozenset({"Open", "Queued", "Closing", "Gone"})

    def __init__(self, link: Connection, to: Transitions, attach_deadline: float, now: float) -> None:
        super().__init__(link, to)
        self._attach_deadline = attach_deadline
        #: When QIOPEN went out, and until when its outcome is waited for.
        self.began = now
        self.due = now + to.firmware.profile.open_timeout
        #: The modem has said OK to QIOPEN: what it says of this socket_id is about this connection.
        self.is_accepted = False
        #: It said ERROR to QIOPEN, and is to be asked why.
        self._is_reason_wanted = False
        #: Bytes were lost that may have been the outcome, and what the peer said at once.
        self._is_hurt = False
        #: Data came for this socket_id before the modem said OK to QIOPEN: of an earlier connection, and more of it may
        #: come; or that OK was lost, and they are this one's.
        self._is_mixed = False
        #: Received before the modem said that the connection is open.
        self._early: list[bytes] = []
        #: When AT+QISTATE is asked, and the pause after that; answers in a row without this socket.
        self._look_at = now + FIRST_LOOK
        self._look_interval = FIRST_LOOK
        self._unlisted = 0

    # -- what is asked meanwhile

    def next_command_of_opening(self, now: float) -> Dispatch | None:
        """What is asked while it has the line for itself: why it was refused, or what has become of it."""
        socket_id = self.link.socket_id
        assert socket_id is not None
        if self._is_reason_wanted:
            return Dispatch(QIGETERROR(), self._reason_told)
        if now >= self._look_at:
            command = QISTATERead() if self.link.is_state_refused else QISTATE(socket_id)
            return Dispatch(command, self._state_told)
        return None

    def hint_at_outcome(self, now: float) -> None:
        """Something came that makes no sense: it may have been the outcome, so that is asked for soon."""
        if self.is_accepted and self._look_interval == FIRST_LOOK:
            self._look_at = min(self._look_at, now + HINT_PAUSE)

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        moments += (self.due, self._look_at)

    # -- the outcome

    def answered(self, result: FinalResult | None, now: float) -> None:
        """Take the final result of QIOPEN."""
        if self.link.phase is not self:
            return
        if result is None:
            self._look_at = now  # it may have been lost on its way, or only its answer
        elif result.ok:
            self.is_accepted = True
        else:
            self._failed(result.code, now)

    def outcome(self, result: int, now: float) -> None:
        """``+QIOPEN: id,result`` came."""
        if result:
            self._failed(result, now)
        elif self._is_mixed or (self._is_hurt and self._early and self.link.is_tcp):
            self._try_again(now, "data of an earlier connection came while it was opened")
        else:
            self._opened(now)

    def _opened(self, now: float) -> None:
        link, to = self.link, self.to
        to.opened(link, self, now)
        if not link.was_open:
            to.emit(Connected(link.key))
        link.was_open = True
        if not link.is_tcp:
            to.resume(link, now)
        for data in () if link.is_deaf else self._early:
            to.emit(DataReceived(link.key, data))
        if link.has_closed:
            link.phase.peer_closed(now)

    def _state_told(self, result: FinalResult | None, now: float) -> None:
        """Take what QISTATE says of an opening whose outcome has not come."""
        link = self.link
        if link.phase is not self:
            return
        # Some firmware answers ERROR for a socket that it has not; others do when they are busy.
        has_none = result is not None and result.code in CLOSED_RESULTS
        if result is not None and not result.ok and not has_none:
            link.is_state_refused = not link.is_state_refused
        found = SocketFinding.ABSENT if has_none else self._find(read_rows(result))
        if link.has_closed and found is not SocketFinding.UNKNOWN:
            self._closed_seen(found, now)
        elif found in (SocketFinding.OPEN, SocketFinding.CLOSED):
            self._found_open(now)
            link.delivery.round_trip = 0.0  # not known
            if found is SocketFinding.CLOSED and link.phase is not self:
                self._end_if_open(now)
        elif found is SocketFinding.ABSENT:
            self._not_listed(now)
        elif found is SocketFinding.FAILED:
            self._try_again(now, "the outcome of AT+QIOPEN was lost")
        else:
            pause = self._look_interval if found is SocketFinding.CONNECTING else STATE_PAUSE
            self._look_interval, self._unlisted = 2 * self._look_interval, 0
            self._look_at = now + pause

    def _find(self, rows: Sequence[SocketStatus] | None) -> SocketFinding:
        """Find the connection among the rows."""
        link = self.link
        if rows is None:
            return SocketFinding.UNKNOWN
        row = next((row for row in rows if row.socket_id == link.socket_id), None)
        if row is None:
            return SocketFinding.ABSENT
        if row.service not in ("", link.service) or row.remote_port not in (0, link.port):
            return SocketFinding.FAILED
        return _FINDINGS.get(row.state, SocketFinding.FAILED)

    def _closed_seen(self, found: SocketFinding, now: float) -> None:
        """Take what QISTATE says after "closed" came in place of the outcome."""
        if found in (SocketFinding.CONNECTING, SocketFinding.OPEN):
            self.link.has_closed = False  # that was about another connection
            self._look_at = now + FIRST_LOOK
        if found is not SocketFinding.CONNECTING:
            # Only what was open is reported closed.
            self._found_open(now)

    def _found_open(self, now: float) -> None:
        """The outcome of the opening was lost; and with it, perhaps, what the peer said at once."""
        if self._is_hurt and self.link.is_tcp:
            self._try_again(now, "bytes were lost on the serial line while it was opened")
        else:
            self.outcome(0, now)

    def _end_if_open(self, now: float) -> None:
        if self.to.is_open(self.link):
            self.link.phase.peer_closed(now)

    def _not_listed(self, now: float) -> None:
        """The modem has no such socket: the command did not reach it, or it is at the name's look-up still."""
        self._unlisted += 1
        if self._unlisted < ABSENCES:
            self._look_at = now  # the line may have been hurt
        elif self.is_accepted and now < self.began + ABSENT_TIME:
            self._look_at, self._unlisted = now + STATE_PAUSE, 0
        else:
            self._try_again(now, "the module did not answer AT+QIOPEN", is_open=self.is_accepted)

    # -- other tries

    def _try_again(self, now: float, reason: str, is_open: bool = True) -> None:
        """Try once more, while there is time; ``is_open``: the modem may have the socket, and closes it first."""
        link = self.link
        assert link.open_deadline is not None
        pause = retry_pause(link.open_tries)
        if now + pause >= link.open_deadline:
            self.to.fail(link, make_error(ETIMEDOUT, reason, command="AT+QIOPEN", result=569))
            return
        self._queue(now + pause, is_open, is_half_open=is_open)

    def _queue(self, at: float, is_open: bool, is_half_open: bool = False) -> None:
        link, to = self.link, self.to
        assert link.socket_id is not None
        if is_open:
            to.dispose(link.socket_id, is_half_open)
        else:
            # The same id again: should the first command come to something after all, it is this connection.
            to.ids.free.appendleft(link.socket_id)
        link.open_tries += 1
        link.has_closed = False
        to.queue(link, Queued(link, to, self._attach_deadline, try_at=at))

    def _reason_told(self, result: FinalResult | None, now: float) -> None:
        """Take the answer of AT+QIGETERROR after a bare ERROR."""
        if self.link.phase is not self:
            return
        self._is_reason_wanted = False
        code = read_code(result)
        if result is not None:
            self.to.tells_errors = code is not None
        if code:
            self._failed(code, now)
        else:
            self._failed_namelessly(now)

    def _failed(self, result: int | None, now: float) -> None:
        link, to = self.link, self.to
        assert link.socket_id is not None and link.open_deadline is not None
        if link.was_open and link.local_port:
            # The modem may keep the port of the socket that it lost: better another one than none.
            to.log(INFO, f"local port {link.local_port} is not free any more: the module chooses another one")
            to.ids.hold_port(link.service, link.local_port, now)
            link.local_port = 0
            to.dispose(link.socket_id, is_half_open=result is None)
            to.open_again(link, now)
            return
        if result is None and to.tells_errors is not False:
            self._is_reason_wanted = True
            return
        if result is None:
            self._failed_namelessly(now)
            return
        # Without a network, or just after it came, these mean "not now".
        is_new = link.open_tries == 0 or now < to.attached_at + SETTLING_TIME
        is_network = result in NETWORK_RESULTS and is_new
        pause = retry_pause(link.open_tries)
        if (is_network or result in PASSING_RESULTS) and now + pause < link.open_deadline:
            to.wants_network_check |= is_network and link.open_tries in CHECKED_TRIES
            self._queue(now + pause, is_open=True)
        else:
            self._refused(result)

    def _failed_namelessly(self, now: float) -> None:
        """Bare ERROR: a socket that nobody here has may be in the way, the network be gone, the modem be busy."""
        link, to = self.link, self.to
        assert link.open_deadline is not None
        pause = retry_pause(link.open_tries)
        if now + pause < link.open_deadline - to.firmware.profile.open_timeout + NAMELESS_TIME:
            to.wants_orphan_scan = True
            to.wants_network_check |= link.open_tries in CHECKED_TRIES
            self._queue(now + pause, is_open=True, is_half_open=True)
        else:
            self._refused(None)

    def _refused(self, result: int | None) -> None:
        link = self.link
        assert link.socket_id is not None
        self.to.opening = None  # its outcome is there
        self.to.doubts_format |= not self.to.firmware.is_known
        error = error_from_result(result, self.to.open_command(link, link.socket_id).line, otherwise=ECONNREFUSED)
        self.to.fail(link, error)

    # -- what else happens meanwhile

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        if now >= self.due:
            self.to.fail(self.link, make_error(ETIMEDOUT, "the module gave no outcome of AT+QIOPEN", result=569))

    def end_of_data(self, linger: float, now: float) -> None:
        if self.link.is_tcp:
            self.abort(now)
        else:
            self.link.is_finished, self.link.linger = True, linger

    def abort(self, now: float) -> None:
        self.link.is_released = True
        self.to.release(self.link)

    def received(self, data: bytes, now: float) -> None:
        if self.is_accepted:
            self._early.append(data)
            return
        self._is_mixed = True
        assert self.link.socket_id is not None
        self.to.came_late(self.link.socket_id, data)

    def peer_closed(self, now: float) -> None:
        if self.is_accepted and self.link.is_tcp:
            # The outcome may come behind it; before the OK it is about the connection that had the id before.
            self.link.has_closed = True
            self._look_at = min(self._look_at, now + EARLY_CLOSE_TIME)

    def damaged(self, is_contained: bool, reason: str) -> None:
        self._is_hurt = True
        if self.link.is_tcp and (is_contained or self._early):
            # The line that says it is open was lost, and data have come for it already: some may be among them.
            self.to.fail(self.link, make_error(ECONNRESET, f"bytes were lost on the serial line: {reason}"))

    def lost(self, error: OSError, now: float) -> None:
        link, to = self.link, self.to
        if to.may_open_again(link):
            if link.socket_id is not None:
                to.ids.give_back(link.socket_id)
            to.open_again(link, now)
            return
        to.fail(link, error)
        to.gone(link, now)
