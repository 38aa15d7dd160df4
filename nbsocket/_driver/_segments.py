"""Outgoing segments: what is sent next, and what becomes of a segment whose fate is unknown.

Theory of operation. A segment is one AT+QISEND, of a stream or one datagram. SEND OK confirms it. After anything else
it is *in doubt*, and only the module's own count of bytes (``AT+QISEND=id,0``, BC260Y-CN TCP/IP guide 1.1 §2.3.5)
settles that:

* The count has grown by the segment: the module has it.
* It has not grown, and the module refused the segment: its send buffer is full, or it is busy. That is flow control:
the segment is tried again after a pause that grows, until the connection's time-out.
* It has not grown, and the outcome is only late: modules were seen to say SEND OK 8 s and more after OK, while the
count said the old value and other commands were answered. The count is looked at until no outcome can come any more.
An error after OK is no outcome of a send: it belongs to something else, and the outcome is still to come.

In each case the count is looked at again *just before* the segment goes out again; nothing else is said in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from errno import ECONNRESET, ETIMEDOUT
from functools import partial
from typing import Any, NamedTuple

from nbsocket._at import (
    QISTATE,
    Acknowledgement,
    Command,
    CommandTimeout,
    FinalResult,
    QISENDData,
    QISENDHex,
    QISENDQuery,
    QISTATERead,
    RemoteProtocolError,
    SocketStatus,
)
from nbsocket._driver._connection import Connection, Phase
from nbsocket._driver._events import DatagramsLost, Event
from nbsocket._driver._opening import PASSING_RESULTS
from nbsocket._driver._turn import Turn
from nbsocket._errors import RESULT_CODES, make_error

__all__ = ["CLOSED_RESULTS", "Segments", "read_account", "read_code", "read_rows"]

#: Results that say that the socket is closed.
CLOSED_RESULTS = frozenset({567})
#: What a segment costs besides its bytes: the command around it, and the module's time for it.
SEND_COST = 128
#: Seconds until a refused segment is tried again: doubled each time, up to the longest. Source: PROTOCOL §6.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
#: Seconds for which the outcome of a send that the module has taken may still come.
LATE_OUTCOME = 20.0
#: The same where the module did not even say OK, and nothing came that may have been one: the command was lost.
LOST_COMMAND = 2.0
#: Seconds from one look at the count to the next; doubled up to ``LONGEST_PAUSE``.
LOOK_INTERVAL = 2.0
#: Times in a row that the count is asked for when it is garbled or refused; then QISTATE tells whether the socket is
#: still there.
LOOKS = 2
#: States of QISTATE in which a UDP socket can send; some firmware may call one without a connection "connecting".
USABLE_STATES = frozenset({1, 2})
#: Seconds for which a datagram is tried again: longer than the 65 s in which a module that is at an opening may refuse
#: everything. What it carries is stale then, and others wait behind it.
DATAGRAM_TIMEOUT = 90.0


class _Late(NamedTuple):
    """A SEND OK or SEND FAIL that may come for a send whose outcome was not there in time."""

    until: float
    #: What was sent; None: what an earlier program may have sent just before its end, a mere possibility.
    payload: bytes | None


class Segments:
    """Sends the segments of all connections."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        counters: dict[str, int],
        segment_size: int,
        is_hex: bool,
        reset: Callable[[Connection, OSError], None],
        flushed: Callable[[Connection, float], None],
        reopen: Callable[[Connection, float], None],
    ) -> None:
        """Take what it works with.

        Args:
            emit: takes events.
            counters: running totals, by name.
            segment_size: most bytes a segment.
            is_hex: payload goes as hex digits in the command; else after a prompt.
            reset: cuts a stream off.
            flushed: is told that a connection has nothing more to send.
            reopen: opens a UDP socket again that the module has lost.
        """
        self._emit = emit
        self._counters = counters
        self._segment_size = segment_size
        self._is_hex = is_hex
        self._reset = reset
        self._flushed = flushed
        self._reopen = reopen
        #: Service, in bytes, at which the last segment was begun: see :meth:`turn`.
        self._service = 0
        #: Until when SEND OK or SEND FAIL lines may come for sends whose outcome was not there in time.
        self._late: list[_Late] = []
        #: The command that timed out last, until its send knows.
        self._timeout: CommandTimeout | None = None
        #: Whose count has just been seen not to have grown: its segment is the next command.
        self._cleared: Connection | None = None

    # -- turns

    def turn(self, links: Iterable[Connection], now: float) -> Turn | None:
        """The next segment: of the connection that was served least, so that a few bytes do not wait behind many."""
        waiting = [link for link in links if link.wants_to_send(now)]
        # Start-time fair queueing. Who was idle, or writes little, has no more than one segment saved up.
        least = self._service - self._segment_size - SEND_COST
        waiting.sort(key=lambda link: max(link.served, least))
        for link in waiting:
            segment = link.next_segment(self._segment_size)
            if segment is None:
                self._flushed(link, now)
                continue
            start = max(link.served, least)
            self._service = max(start, self._service)
            link.served = start + len(segment) + SEND_COST
            return self._send(link, segment)
        return None

    def resend_turn(self) -> Turn | None:
        """The segment that is known not to be in the module, if that was found out by the last command."""
        link, self._cleared = self._cleared, None
        if link is None or link.phase is not Phase.OPEN or link.segment is None:
            return None
        self._counters["resent"] += 1
        link.is_in_doubt, link.awaits_outcome, link.outcome_due = False, False, None
        return self._send(link, link.segment)

    def look_turn(self, link: Connection, now: float) -> Turn | None:
        """The question what became of the segment in doubt, if it is due."""
        assert link.socket_id is not None
        if now < link.look_at:
            return None
        if link.looks > LOOKS:
            # Some firmware refuses to tell of one socket that it does not have, but lists those that it has.
            command = QISTATERead() if link.is_state_refused else QISTATE(link.socket_id)
            return Turn(command, partial(self._find_out, link))
        return Turn(QISENDQuery(link.socket_id), partial(self._settle, link))

    def forget_look(self) -> None:
        """Something else is said first: what the last look told is old, and the count is looked at again."""
        self._cleared = None

    def clear(self) -> None:
        """The module restarted: nothing of the past will come."""
        self._late.clear()
        self._cleared = None

    def _send(self, link: Connection, segment: bytes) -> Turn:
        link.is_sending = True
        link.has_heard = False
        return Turn(self._command(link, segment), partial(self.answered, link))

    def _command(self, link: Connection, segment: bytes) -> Command[Any]:
        assert link.socket_id is not None
        if self._is_hex:
            return QISENDHex(link.socket_id, segment, link.segment_rai)
        return QISENDData(link.socket_id, segment, fails_early=not self._late)

    # -- what the module said to a send

    def timed_out(self, timeout: CommandTimeout, now: float) -> None:
        """A command had no final result in time; if it was a segment, :meth:`answered` comes next."""
        self._timeout = timeout
        if timeout.command.awaits_outcome:
            self._late.append(_Late(now + LATE_OUTCOME, _payload_of(timeout.command)))

    def expect_late_outcome(self, now: float) -> None:
        """A SEND OK or SEND FAIL may come that is that of another program's segment; mostly none does."""
        self._late.append(_Late(now + LATE_OUTCOME, None))

    def owes_outcome(self, now: float) -> bool:
        """Whether the outcome of a segment that was sent may still come."""
        return any(now < late.until and late.payload is not None for late in self._late)

    def answered(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Take the outcome of a segment; None: there was none in time."""
        timeout, self._timeout = self._timeout, None
        link.is_sending = False
        if link.phase not in (Phase.OPEN, Phase.JUDGING):
            return
        self._late = [late for late in self._late if now < late.until]
        is_error = result is not None and "ERROR" in result.text
        is_stray = result is not None and result.is_misplaced
        is_own = not is_stray and (is_error or not self._late)
        if result is not None and result.ok and is_own:
            self._confirmed(link, now)
            return
        is_believable = result is not None and result.ok and self._is_believable(link)
        if link.phase is Phase.JUDGING:
            if is_believable:
                # The count went with the socket: see believe_late_ok.
                self._confirmed(link, now)
            return  # what is unsent then makes the end a reset
        if result is None and not self._is_hex and not (timeout is not None and timeout.was_accepted):
            # Whatever brings the module back may become payload first: its count proves nothing.
            self._give_up(link, None, "no answer")
            return
        self._doubt(link, now)
        link.is_taken = result.was_taken if result is not None else timeout is not None and timeout.was_accepted
        if result is None:
            is_lost = timeout is not None and not (timeout.was_accepted or timeout.was_garbled)
            link.awaits_outcome, link.outcome_patience = True, LOST_COMMAND if is_lost else LATE_OUTCOME
        elif is_own:
            self._refused(link, result, now)
        else:
            # It is an error after OK, or may be the outcome of an earlier send; this one's is still to come.
            link.has_late_ok = is_believable
            if is_stray:
                self._late.append(_Late(now + LATE_OUTCOME, link.segment))
            link.awaits_outcome, link.outcome_patience = True, LATE_OUTCOME

    def _is_believable(self, link: Connection) -> bool:
        """Whether a SEND OK tells that the segment is in the module, where nothing else can tell it any more.

        It may be that of an earlier try of the same segment, or a dead program's if that was killed at a send.
        """
        return [late.payload for late in self._late if late.payload is not link.segment] in ([], [None])

    def late_outcome(self, text: str, links: Iterable[Connection], now: float) -> None:
        """A result line came that nothing waited for; ``SEND OK``, ``SEND FAIL`` and ``OK`` may be a segment's."""
        self._late = [late for late in self._late if now < late.until]
        waiting = [link for link in links if link.is_in_doubt and link.awaits_outcome]
        if text == "OK":
            for link in waiting:
                if link.outcome_patience == LATE_OUTCOME:
                    continue  # it has had its OK, as far as that can be known: another one is not its
                # The command was not lost: this may be its OK.
                link.outcome_patience = LATE_OUTCOME
                if link.outcome_due is not None:
                    link.outcome_due = now + LATE_OUTCOME
            return
        if not text.startswith("SEND"):
            return
        is_certain = len(self._late) == len(waiting) == 1
        del self._late[:1]
        for link in waiting:
            link.look_at = now
            if text == "SEND FAIL":
                link.has_late_ok = False
                if is_certain:
                    self._refused(link, None, now)
            elif is_certain:
                link.has_late_ok = True

    def believe_late_ok(self, link: Connection, now: float) -> None:
        """The peer has closed, so that the count cannot confirm a segment any more: its SEND OK must do.

        It came late, or is another program's only if that was killed at a send.
        """
        if link.is_in_doubt and link.has_late_ok:
            self._confirmed(link, now)

    def drop_doubtful(self, links: Iterable[Connection]) -> None:
        """Data mode: what brings the module back may fill a payload that it says it refused.

        Not where it has taken the payload whole, nor where it has answered a question since: it waits for none.
        """
        for link in tuple(links):
            is_proven = link.is_taken or link.is_heeded
            if link.phase is Phase.OPEN and link.is_in_doubt and not is_proven:
                self._give_up(link, None, "no answer")

    def _confirmed(self, link: Connection, now: float) -> None:
        self._counters["segments"] += 1
        link.segment_sent(now)

    def _doubt(self, link: Connection, now: float) -> None:
        link.is_in_doubt, link.looks, link.look_at, link.look_interval = True, 0, now, LOOK_INTERVAL
        link.awaits_outcome, link.outcome_due, link.unlisted, link.is_heeded = False, None, 0, False
        link.has_late_ok = False
        if link.stalled_at is None:
            link.stalled_at = now

    def _refused(self, link: Connection, result: FinalResult | None, now: float) -> None:
        self._counters["send_failures"] += 1
        link.awaits_outcome, link.outcome_due = False, None
        link.refusal = "SEND FAIL" if result is None else result.text
        link.refusal_code = None if result is None else result.code
        link.refused_at = now
        link.retry_at = now + min(FIRST_PAUSE * 2 ** min(link.tries, 10), LONGEST_PAUSE)
        link.tries += 1

    # -- what the module's count says

    def _settle(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Compare the module's count with ours."""
        if link.phase is not Phase.OPEN or link.segment is None or not link.is_in_doubt:
            return
        account = read_account(result, link.is_tcp)
        if account is None:
            self._no_count(link, result, now)
            return
        link.looks, link.is_heeded = 0, True
        if link.is_tcp and account.acked > link.acked:
            link.acked, link.progress_at = account.acked, now
        grown = account.sent - link.sent
        if grown == len(link.segment):
            self._confirmed(link, now)
        elif grown == 0 or (link.awaits_outcome and 0 < grown < len(link.segment)):
            self._not_there(link, account, now)
        else:
            self._give_up(link, account, "the module lost count of the data sent")

    def _not_there(self, link: Connection, account: Acknowledgement, now: float) -> None:
        """The module does not have the segment, or not all of it yet."""
        if link.awaits_outcome and link.outcome_due is None:
            link.outcome_due = now + link.outcome_patience
        if now >= self._limit(link) and not self._may_try_once_more(link, now):
            self._give_up(link, account, "the module took no more data", is_time_out=True)
        elif link.outcome_due is not None:
            if now < link.outcome_due:
                self._look_again(link, min(now + link.look_interval, link.outcome_due), now)
            elif account.sent != link.sent:
                self._give_up(link, account, "the module lost count of the data sent")
            else:
                self._cleared = link
        elif not link.is_tcp and link.tries > 1 and not link.is_sought:
            # Refused twice: the module may have lost the socket, and keep its entry.
            self._seek(link, now)
        elif now < link.retry_at:
            self._look_again(link, link.retry_at, now)
        else:
            self._cleared = link

    def _may_try_once_more(self, link: Connection, now: float) -> bool:
        """Whether the module was not really tried for as long as the time-out says, so that once more is due.

        An opening had the line since it refused. Or the command may have been lost, and soon no outcome can come any
        more; not a second time, for until it is known that there is none again, more than that passes.
        """
        if link.outcome_due is not None:
            return link.is_tcp and link.outcome_due <= self._limit(link) + LONGEST_PAUSE
        return link.is_tcp and bool(link.refusal) and now >= link.refused_at + 2 * LONGEST_PAUSE

    def _look_again(self, link: Connection, at: float, now: float) -> None:
        link.look_interval = min(2 * link.look_interval, LONGEST_PAUSE)
        limit = self._limit(link)
        link.look_at = min(at, limit) if now < limit else at

    def _limit(self, link: Connection) -> float:
        """When the segment is given up."""
        assert link.stalled_at is not None
        if not link.is_tcp:
            return link.stalled_at + DATAGRAM_TIMEOUT
        since = link.stalled_at if link.is_acked else max(link.stalled_at, link.progress_at)
        return since + link.user_timeout

    def _no_count(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """The count was garbled, refused or not given: the module may be busy, or have lost the socket."""
        link.is_heeded |= result is not None and not result.ok
        if now >= self._limit(link):
            self._give_up(link, None, "the module took no more data", is_time_out=True)
            return
        is_garbled = result is None or result.ok
        if not link.is_tcp and not is_garbled and not link.is_sought:
            self._seek(link, now)
            assert result is not None
            link.unlisted = int(result.code in CLOSED_RESULTS)  # the first sign of two
            return
        if link.is_tcp and result is not None and result.code in CLOSED_RESULTS:
            self._give_up(link, None, result.text)
            return
        link.looks += 1
        if not (is_garbled and link.looks <= LOOKS):
            self._look_again(link, now + link.look_interval, now)

    def _seek(self, link: Connection, now: float) -> None:
        """Ask whether the module has the UDP socket at all."""
        link.is_sought, link.looks, link.look_at, link.unlisted = True, LOOKS + 1, now, 0

    def _find_out(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Take what QISTATE says of a socket that does not tell its count."""
        if link.phase is not Phase.OPEN or link.segment is None or not link.is_in_doubt:
            return
        is_denied = result is not None and result.code in CLOSED_RESULTS
        rows = [] if is_denied else read_rows(result)
        row = next((row for row in rows or () if row.socket_id == link.socket_id), None)
        link.look_at = now
        link.is_state_refused = rows is None and result is not None and not result.ok and not link.is_state_refused
        if row is not None and not link.is_tcp and row.state not in USABLE_STATES:
            self._reopen(link, now)
        elif rows is None and link.is_state_refused and not link.is_tcp:
            pass  # it is asked for all of them at once
        elif link.state_refusals and not link.is_tcp and _is_nameless(result):
            self._reopen(link, now)
        elif rows is None or row is not None:
            link.looks, link.unlisted = 0, 0
            if not link.is_tcp:  # its count was refused just now
                # All that was asked about it was: once more, and it is taken for gone.
                link.state_refusals = int(_is_nameless(result))
                link.is_sought = not link.state_refusals
                self._look_again(link, now + link.look_interval, now)
        elif link.unlisted and not link.is_tcp:
            self._reopen(link, now)
        elif link.unlisted:
            link.is_missing = True
            self._give_up(link, None, "the module does not have the socket any more")
        else:
            link.unlisted += 1  # the line may have been hurt: it is asked once more

    # -- giving up

    def _give_up(self, link: Connection, account: Acknowledgement | None, why: str, is_time_out: bool = False) -> None:
        command = f"AT+QISEND={link.socket_id}"
        if not link.is_tcp:
            if account is not None:
                link.sent = account.sent
            self.lose(link, why)
        elif is_time_out:
            self._reset(link, _took_nothing(link, command))
        else:
            self._reset(link, make_error(ECONNRESET, "the module lost count of the data sent", command=command))

    def lose(self, link: Connection, why: str) -> None:
        """Give up the datagram at hand; the next one may go out."""
        link.segment_lost()
        self.count_lost(link, 1, why)

    def count_lost(self, link: Connection, number: int, why: str) -> None:
        """Count datagrams that are given up, and tell of them."""
        if number:
            self._counters["dropped_datagrams"] += number
            self._emit(DatagramsLost(link.key, number, why))


def _payload_of(command: Command[Any]) -> bytes:
    """What a send carries; empty for one that is the user's own."""
    return command.data if isinstance(command, (QISENDHex, QISENDData)) else b""


def _is_nameless(result: FinalResult | None) -> bool:
    """An error that is not said to pass, such as "busy"."""
    return result is not None and not result.ok and result.code not in PASSING_RESULTS


def _took_nothing(link: Connection, command: str) -> OSError:
    """TCP_USER_TIMEOUT has passed: ETIMEDOUT, as natively; what the module said to the segment is told with it."""
    reason = link.refusal or "no outcome"
    if link.refusal_code in RESULT_CODES:
        reason += f", {RESULT_CODES[link.refusal_code][1]}"
    return make_error(
        ETIMEDOUT,
        f"the module took no data for {link.user_timeout:g} s ({reason})",
        command=command,
        result=link.refusal_code,
    )


def read_account(result: FinalResult | None, is_tcp: bool) -> Acknowledgement | None:
    """The module's count; None when it gave none, or one that contradicts itself."""
    if result is None or not result.ok:
        return None
    try:
        account: Acknowledgement = result.command.parse(result.responses)
    except RemoteProtocolError:
        return None
    if is_tcp and account.sent != account.acked + account.unacked:
        return None
    return account


def read_code(result: FinalResult | None) -> int | None:
    """The number that AT+QIGETERROR gave; None when it gave none."""
    if result is None or not result.ok:
        return None
    try:
        code: int | None = result.command.parse(result.responses)
    except RemoteProtocolError:
        return None
    return code


def read_rows(result: FinalResult | None) -> list[SocketStatus] | None:
    """What QISTATE gave; None when it gave nothing that makes sense."""
    if result is None or not result.ok:
        return None
    try:
        rows: list[SocketStatus] = result.command.parse(result.responses)
    except RemoteProtocolError:
        return None
    return rows
