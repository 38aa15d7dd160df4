"""Outgoing segments: what is sent next, and what becomes of a segment whose fate is unknown.

Theory of operation. A segment is one AT+QISEND, of a stream or one datagram. SEND OK confirms it. After anything else
it is *unconfirmed*, and only the modem's own count of bytes (``AT+QISEND=id,0``, BC260Y-CN TCP/IP guide 1.1 §2.3.5)
settles that:

* The count has grown by the segment: the modem has it.
* It has not grown, and the modem refused the segment: its send buffer is full, or it is busy. That is flow control:
the segment is tried again after a pause that grows, until the connection's time-out.
* It has not grown, and the outcome is only late: modems were seen to say SEND OK 8 s and more after OK, while the
count said the old value and other commands were answered. The count is looked at until no outcome can come any more.
An error after OK is no outcome of a send: it belongs to something else, and the outcome is still to come.

In each case the count is looked at again *just before* the segment goes out again; nothing else is said in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from errno import ECONNRESET, ETIMEDOUT
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

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
)
from nbsocket._driver._answers import (
    CLOSED_RESULTS,
    NOTHING_SENT_RESULTS,
    PASSING_RESULTS,
    read_account,
    read_rows,
)
from nbsocket._driver._closing import Verifying
from nbsocket._driver._connection import Connection
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._open import Open
from nbsocket._driver._segment import LOOK_INTERVAL, Segment
from nbsocket._errors import RESULT_CODES, make_error

if TYPE_CHECKING:
    from nbsocket._driver._transitions import Transitions

__all__ = ["DATAGRAM_TIMEOUT", "LATE_OUTCOME", "LOOKS", "LOOK_INTERVAL", "LOST_COMMAND", "Segments"]

#: What a segment costs besides its bytes: the command around it, and the modem's time for it.
SEND_COST = 128
#: Seconds until a refused segment is tried again: doubled each time, up to the longest. A full send buffer empties at
#: the rate of the air interface.
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
#: Seconds for which the outcome of a send that the modem has taken may still come.
LATE_OUTCOME = 20.0
#: The same where the modem did not even say OK, and nothing came that may have been one: the command was lost.
LOST_COMMAND = 2.0
#: Refusals in a row of one segment after which the modem is asked whether its data format is as it was set: "invalid
#: parameters" hardly means anything else, while an error without a number is mostly a full buffer, which takes long.
FORMAT_CHECKS = {"+CME ERROR: 552": 1, "ERROR": 8}
#: Times in a row that the count is asked for when it is garbled or refused; then QISTATE tells whether the socket is
#: still there.
LOOKS = 2
#: States of QISTATE in which a UDP socket can send; some firmware may call one without a connection "connecting".
USABLE_STATES = frozenset({1, 2})
#: The count of a socket that has sent nothing.
NOTHING_SENT = Acknowledgement(0, 0, 0)
#: Seconds for which a datagram is tried again: longer than the 65 s in which a modem that is at an opening may refuse
#: everything. What it carries is stale then, and others wait behind it.
DATAGRAM_TIMEOUT = 90.0


class _Late(NamedTuple):
    """A SEND OK or SEND FAIL that may come for a send whose outcome was not there in time."""

    until: float
    #: What was sent; None: what an earlier program may have sent just before its end, a mere possibility.
    payload: bytes | None


class Segments:
    """Sends the segments of all connections."""

    def __init__(self, to: Transitions) -> None:
        """Take what all connections share."""
        self._to = to
        self._firmware = to.firmware
        self._is_hex = to.settings.is_hex
        #: Service, in bytes, at which the last segment was begun: see :meth:`next_segment`.
        self._service = 0
        #: Until when SEND OK or SEND FAIL lines may come for sends whose outcome was not there in time.
        self._late: list[_Late] = []
        #: The command that timed out last, until its send knows.
        self._timeout: CommandTimeout | None = None
        #: One that the application has closed has nothing more to send: a close, or a question before it, may be due.
        self.has_flushed = False
        #: Whose count has just been seen not to have grown: its segment is the next command.
        self.cleared: Connection | None = None

    # -- what is said next

    def next_segment(self, now: float) -> Dispatch | None:
        """The next segment: of the connection that was served least, so that a few bytes do not wait behind many."""
        waiting = [
            link
            for link in self._to.table.order
            # Only what has something is worth a call.
            if (link.available or link.segment is not None or link.lookahead is not None) and _wants_to_send(link, now)
        ]
        if not waiting:
            return None
        # Start-time fair queueing. Who was idle, or writes little, has no more than one segment saved up.
        least = self._service - self._to.segment_size - SEND_COST
        if len(waiting) > 1:
            waiting.sort(key=lambda link: max(link.served, least))
        for link in waiting:
            segment = link.next_segment(self._to.segment_size)
            if segment is None:
                if link.is_finished:
                    assert isinstance(link.phase, Open)
                    link.phase.flushed(now)
                    self.has_flushed = True
                continue
            start = max(link.served, least)
            self._service = max(start, self._service)
            link.served = start + len(segment.data) + SEND_COST
            return self._send(link, segment)
        return None

    def resend(self) -> Dispatch | None:
        """The segment that is known not to be in the modem, if that was found out by the last command."""
        link, self.cleared = self.cleared, None
        if link is None or not isinstance(link.phase, Open) or link.segment is None:
            return None
        self._to.counters["resent"] += 1
        link.segment.resend()
        return self._send(link, link.segment)

    def look(self, link: Connection, now: float) -> Dispatch | None:
        """The question what became of the unconfirmed segment, if it is due."""
        segment = link.segment
        assert link.socket_id is not None and segment is not None
        if now < segment.look_at:
            return None
        if segment.looks > LOOKS:
            # Some firmware refuses to tell of one socket that it does not have, but lists those that it has.
            command = QISTATERead() if link.is_state_refused else QISTATE(link.socket_id)
            return Dispatch(command, partial(self._state_told, link))
        return Dispatch(QISENDQuery(link.socket_id), partial(self._count_told, link))

    def forget_look(self) -> None:
        """Something else is said first: what the last look told is old, and the count is looked at again."""
        self.cleared = None

    def clear(self) -> None:
        """The modem restarted: nothing of the past will come."""
        self._late.clear()
        self.cleared = None

    def _send(self, link: Connection, segment: Segment) -> Dispatch:
        segment.is_sending = True
        link.has_heard = False
        return Dispatch(self._command(link, segment), partial(self._answered, link, segment))

    def _command(self, link: Connection, segment: Segment) -> Command[Any]:
        assert link.socket_id is not None
        return self._firmware.profile.send(
            link.socket_id, segment.data, self._is_hex, link.segment_rai, fails_early=not self._late
        )

    # -- what the modem said to a send

    def timed_out(self, timeout: CommandTimeout, now: float) -> None:
        """A command had no final result in time; if it was a segment, that is told next."""
        self._timeout = timeout
        if timeout.command.awaits_outcome:
            self._late.append(_Late(now + LATE_OUTCOME, _payload_of(timeout.command)))

    def expect_late_outcome(self, now: float) -> None:
        """A SEND OK or SEND FAIL may come that is that of another program's segment; mostly none does."""
        self._late.append(_Late(now + LATE_OUTCOME, None))

    def owes_outcome(self, now: float) -> bool:
        """Whether the outcome of a segment that was sent may still come."""
        return any(now < late.until and late.payload is not None for late in self._late)

    def _answered(self, link: Connection, segment: Segment, result: FinalResult | None, now: float) -> None:
        """Take the outcome of a segment; None: there was none in time."""
        timeout, self._timeout = self._timeout, None
        segment.is_sending = False
        if link.segment is not segment:
            return  # it was taken back meanwhile
        if self._late:
            self._late = [late for late in self._late if now < late.until]
        is_error = result is not None and "ERROR" in result.text
        is_stray = result is not None and result.is_misplaced
        is_own = not is_stray and (is_error or not self._late)
        if result is not None and result.ok and is_own:
            self._confirmed(link, now)
            return
        is_believable = result is not None and result.ok and self._is_believable(segment)
        if isinstance(link.phase, Verifying):
            if is_believable:
                # The count went with the socket: see believe_late_ok.
                self._confirmed(link, now)
            return  # what is unsent then makes the end a reset
        if result is None and not self._is_hex and not (timeout is not None and timeout.was_accepted):
            # Whatever brings the modem back may become payload first: its count proves nothing.
            self._give_up(link, None, "no answer")
            return
        segment.unconfirm(now)
        segment.is_taken = result.was_taken if result is not None else timeout is not None and timeout.was_accepted
        if result is None:
            is_lost = timeout is not None and not (timeout.was_accepted or timeout.was_garbled)
            segment.awaits_outcome, segment.outcome_timeout = True, LOST_COMMAND if is_lost else LATE_OUTCOME
        elif is_own:
            self._refused(segment, result, now)
        else:
            # It is an error after OK, or may be the outcome of an earlier send; this one's is still to come.
            segment.has_late_ok = is_believable
            if is_stray:
                self._late.append(_Late(now + LATE_OUTCOME, segment.data))
            segment.awaits_outcome, segment.outcome_timeout = True, LATE_OUTCOME

    def _is_believable(self, segment: Segment) -> bool:
        """Whether a SEND OK tells that the segment is in the modem, where nothing else can tell it any more.

        It may be that of an earlier try of the same segment, or a dead program's if that was killed at a send.
        """
        return [late.payload for late in self._late if late.payload is not segment.data] in ([], [None])

    def late_outcome(self, text: str, links: Iterable[Connection], now: float) -> None:
        """A result line came that nothing waited for; ``SEND OK``, ``SEND FAIL`` and ``OK`` may be a segment's."""
        self._late = [late for late in self._late if now < late.until]
        segments = (link.segment for link in links if isinstance(link.phase, Open) and link.segment is not None)
        waiting = [segment for segment in segments if segment.is_unconfirmed and segment.awaits_outcome]
        if text == "OK":
            for segment in waiting:
                if segment.outcome_timeout == LATE_OUTCOME:
                    continue  # it has had its OK, as far as that can be known: another one is not its
                # The command was not lost: this may be its OK.
                segment.outcome_timeout = LATE_OUTCOME
                if segment.outcome_due is not None:
                    segment.outcome_due = now + LATE_OUTCOME
            return
        if not text.startswith("SEND"):
            return
        is_certain = len(self._late) == len(waiting) == 1
        del self._late[:1]
        for segment in waiting:
            segment.look_at = now
            if text == "SEND FAIL":
                segment.has_late_ok = False
                if is_certain:
                    self._refused(segment, None, now)
            elif is_certain:
                segment.has_late_ok = True

    def believe_late_ok(self, link: Connection, now: float) -> None:
        """The peer has closed, so that the count cannot confirm a segment any more: its SEND OK must do.

        It came late, or is another program's only if that was killed at a send.
        """
        if link.segment is not None and link.segment.is_unconfirmed and link.segment.has_late_ok:
            self._confirmed(link, now)

    def drop_unconfirmed(self, links: Iterable[Connection]) -> None:
        """Data mode: what brings the modem back may fill a payload that it says it refused.

        Not where it has taken the payload whole, nor where it has answered a question since: it waits for none.
        """
        for link in tuple(links):
            segment = link.segment
            if segment is None or not segment.is_unconfirmed or segment.is_taken or segment.is_heeded:
                continue
            if isinstance(link.phase, Open):
                self._give_up(link, None, "no answer")

    def heed(self, links: Iterable[Connection]) -> None:
        """The modem has answered a question with more than OK: it waits for no payload."""
        for link in links:
            if link.segment is not None and link.segment.is_unconfirmed:
                link.segment.is_heeded = True

    def verify_counts(self, links: Iterable[Connection], now: float) -> None:
        """The modem has begun to wait for payload that nobody means for it: what it gets may be in any stream."""
        for link in links:
            if link.is_tcp and isinstance(link.phase, Open):
                link.delivery.is_miscounted, link.delivery.query_at = True, now

    def _confirmed(self, link: Connection, now: float) -> None:
        self._to.counters["segments"] += 1
        link.segment_sent(now)

    def _refused(self, segment: Segment, result: FinalResult | None, now: float) -> None:
        self._to.counters["send_failures"] += 1
        segment.awaits_outcome, segment.outcome_due = False, None
        segment.refusal = "SEND FAIL" if result is None else result.text
        segment.refusal_code = None if result is None else result.code
        segment.refused_at = now
        segment.retry_at = now + min(FIRST_PAUSE * 2 ** min(segment.tries, 10), LONGEST_PAUSE)
        segment.tries += 1
        if segment.tries == FORMAT_CHECKS.get(segment.refusal):
            # In text format the modem takes hex digits for a payload of the wrong length.
            self._to.doubts_format = True

    # -- what the modem's count says

    def _count_told(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Compare the modem's count with ours."""
        segment = link.segment
        if not isinstance(link.phase, Open) or segment is None or not segment.is_unconfirmed:
            return
        account = read_account(result, link.is_tcp)
        if account is None:
            self._no_count(link, segment, result, now)
            return
        segment.looks, segment.is_heeded = 0, True
        if link.is_tcp:
            link.delivery.note_acked(account.acked, now)
        grown = account.sent - link.delivery.sent
        if grown == len(segment.data):
            self._confirmed(link, now)
        elif grown == 0 or (segment.awaits_outcome and 0 < grown < len(segment.data)):
            self._not_there(link, segment, account, now)
        else:
            self._give_up(link, account, "the module lost count of the data sent")

    def _not_there(self, link: Connection, segment: Segment, account: Acknowledgement, now: float) -> None:
        """The modem does not have the segment, or not all of it yet."""
        if segment.awaits_outcome and segment.outcome_due is None:
            segment.outcome_due = now + segment.outcome_timeout
        if now >= _limit(link, segment) and not _may_try_once_more(link, segment, now):
            self._give_up(link, account, "the module took no more data", is_time_out=True)
        elif segment.outcome_due is not None:
            if now < segment.outcome_due:
                _look_again(link, segment, min(now + segment.look_interval, segment.outcome_due), now)
            elif account.sent != link.delivery.sent:
                self._give_up(link, account, "the module lost count of the data sent")
            else:
                self.cleared = link
        elif not link.is_tcp and segment.tries > 1 and not segment.is_sought:
            # Refused twice: the modem may have lost the socket, and keep its entry.
            _seek(segment, now)
        elif now < segment.retry_at:
            _look_again(link, segment, segment.retry_at, now)
        else:
            self.cleared = link

    def _no_count(self, link: Connection, segment: Segment, result: FinalResult | None, now: float) -> None:
        """The count was garbled, refused or not given: the modem may be busy, or have lost the socket."""
        segment.is_heeded |= result is not None and not result.ok
        if now >= _limit(link, segment):
            self._give_up(link, None, "the module took no more data", is_time_out=True)
            return
        is_garbled = result is None or result.ok
        segment.is_count_refused = result is not None and not result.ok and result.code in NOTHING_SENT_RESULTS
        if segment.is_listed and segment.is_count_refused:
            self._not_there(link, segment, NOTHING_SENT, now)
            return
        segment.is_listed = False
        if not link.is_tcp and not is_garbled and not segment.is_sought:
            _seek(segment, now)
            assert result is not None
            segment.unlisted = int(result.code in CLOSED_RESULTS)  # the first sign of two
            return
        if link.is_tcp and result is not None and result.code in CLOSED_RESULTS:
            self._give_up(link, None, result.text)
            return
        segment.looks += 1
        if not (is_garbled and segment.looks <= LOOKS):
            _look_again(link, segment, now + segment.look_interval, now)

    def _state_told(self, link: Connection, result: FinalResult | None, now: float) -> None:
        """Take what QISTATE says of a socket that does not tell its count."""
        segment = link.segment
        if not isinstance(link.phase, Open) or segment is None or not segment.is_unconfirmed:
            return
        is_denied = result is not None and result.code in CLOSED_RESULTS
        rows = [] if is_denied else read_rows(result)
        row = next((row for row in rows or () if row.socket_id == link.socket_id), None)
        segment.look_at = now
        link.is_state_refused = rows is None and result is not None and not result.ok and not link.is_state_refused
        if row is not None and not link.is_tcp and row.state not in USABLE_STATES:
            self._to.reopen(link, now)
        elif rows is None and link.is_state_refused and not link.is_tcp:
            pass  # it is asked for all of them at once
        elif segment.state_refusals and not link.is_tcp and _is_nameless(result):
            self._to.reopen(link, now)
        elif row is not None and segment.is_count_refused and self._counts_nothing_yet(link):
            # A busy modem may have refused: only a refusal after this answer, too, says that nothing was sent.
            segment.is_listed, segment.looks, segment.unlisted = True, 0, 0
        elif rows is None or row is not None:
            segment.looks, segment.unlisted = 0, 0
            if not link.is_tcp:  # its count was refused just now
                # All that was asked about it was: once more, and it is taken for gone.
                segment.state_refusals = int(_is_nameless(result))
                segment.is_sought = not segment.state_refusals
                _look_again(link, segment, now + segment.look_interval, now)
        elif segment.unlisted and not link.is_tcp:
            self._to.reopen(link, now)
        elif segment.unlisted:
            link.is_missing = True
            self._give_up(link, None, "the module does not have the socket any more")
        else:
            segment.unlisted += 1  # the line may have been hurt: it is asked once more

    def _counts_nothing_yet(self, link: Connection) -> bool:
        """Whether the modem refuses the count of this socket because nothing was sent on it."""
        return self._firmware.profile.counts_only_after_send and not link.delivery.sent

    # -- giving up

    def _give_up(self, link: Connection, account: Acknowledgement | None, why: str, is_time_out: bool = False) -> None:
        command = f"AT+QISEND={link.socket_id}"
        if not link.is_tcp:
            if account is not None:
                link.delivery.sent = account.sent
            link.drop_segment()  # the next datagram may go out
            self._to.count_lost(link, 1, why)
        elif is_time_out:
            self._to.reset(link, _took_nothing(link, command))
        else:
            self._to.reset(link, make_error(ECONNRESET, "the module lost count of the data sent", command=command))


def _wants_to_send(link: Connection, now: float) -> bool:
    """Whether a segment may go out now."""
    segment = link.segment
    if now < link.ready_at or type(link.phase) is not Open or link.delivery.is_miscounted:
        return False
    return segment is None or not segment.is_unconfirmed


def _seek(segment: Segment, now: float) -> None:
    """Ask whether the modem has the UDP socket at all."""
    segment.is_sought, segment.looks, segment.look_at, segment.unlisted = True, LOOKS + 1, now, 0


def _look_again(link: Connection, segment: Segment, at: float, now: float) -> None:
    segment.look_interval = min(2 * segment.look_interval, LONGEST_PAUSE)
    limit = _limit(link, segment)
    segment.look_at = min(at, limit) if now < limit else at


def _limit(link: Connection, segment: Segment) -> float:
    """When the segment is given up."""
    assert segment.stalled_at is not None
    if not link.is_tcp:
        return segment.stalled_at + DATAGRAM_TIMEOUT
    delivery = link.delivery
    since = segment.stalled_at if delivery.is_acked else max(segment.stalled_at, delivery.progress_at)
    return since + delivery.user_timeout


def _may_try_once_more(link: Connection, segment: Segment, now: float) -> bool:
    """Whether the modem was not really tried for as long as the time-out says, so that once more is due.

    An opening had the line since it refused. Or the command may have been lost, and soon no outcome can come any
    more; not a second time, for until it is known that there is none again, more than that passes.
    """
    if segment.outcome_due is not None:
        return link.is_tcp and segment.outcome_due <= _limit(link, segment) + LONGEST_PAUSE
    return link.is_tcp and bool(segment.refusal) and now >= segment.refused_at + 2 * LONGEST_PAUSE


def _payload_of(command: Command[Any]) -> bytes:
    """What a send carries; empty for one that is the user's own."""
    return command.data if isinstance(command, (QISENDHex, QISENDData)) else b""


def _is_nameless(result: FinalResult | None) -> bool:
    """An error that is not said to pass, such as "busy"."""
    return result is not None and not result.ok and result.code not in PASSING_RESULTS


def _took_nothing(link: Connection, command: str) -> OSError:
    """TCP_USER_TIMEOUT has passed: ETIMEDOUT, as natively; what the modem said to the segment is told with it."""
    segment = link.segment
    reason, code = (segment.refusal, segment.refusal_code) if segment is not None else ("", None)
    reason = reason or "no outcome"
    if code in RESULT_CODES:
        reason += f", {RESULT_CODES[code][1]}"
    return make_error(
        ETIMEDOUT,
        f"the module took no data for {link.delivery.user_timeout:g} s ({reason})",
        command=command,
        result=code,
    )
