"""The end of a connection: what the line "closed" means, and how its socket is freed.

The line ``closed`` says neither who ended the connection, nor that no data follows it. It is an end of file where
everything that was written was acknowledged or answered, whatever QISTATE says: the modem may have forgotten the
socket, or give either of its states for either end. Its state has the last word only where the fate of bytes is not
known: then all but "remote closing" is a reset. The application is told once QICLOSE was answered; what is pushed until
then is delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ECONNRESET
from typing import TYPE_CHECKING

from nbsocket._at import QICLOSE, QISTATE, FinalResult, QISENDQuery
from nbsocket._driver._answers import CLOSED_RESULTS, read_account, read_rows
from nbsocket._driver._connection import Connection
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._events import DataReceived
from nbsocket._driver._log_limit import WARNING
from nbsocket._driver._phase import Phase
from nbsocket._driver._socket_ids import CLOSE_TIMEOUT, OPEN_TIMEOUT, QUIET_TIME
from nbsocket._errors import make_error

if TYPE_CHECKING:
    from nbsocket._driver._transitions import Transitions

__all__ = ["END_DELAY", "Closing", "Verifying", "end_delay", "passes_on"]

#: How often QICLOSE is tried.
CLOSE_TRIES = 3
#: Seconds until QICLOSE is tried again when it was refused for another reason than that there is nothing to close.
CLOSE_RETRY_TIME = 1.0
#: Seconds without a push after the line "closed", until QICLOSE ends what the modem may still have to push. A program
#: that knows that the answer is whole closes by itself meanwhile.
END_DELAY = 0.25
#: The same once a push came after the end of file of another connection: this modem takes its time.
LONG_END_DELAY = 1.0
#: Seconds that the end of file waits for CLOSE OK after the OK of QICLOSE.
END_TIMEOUT = 0.5
#: Seconds to find out how the peer closed, longer than an opening keeps the line for itself; then it is taken for a
#: reset: an end that was none would hide what the peer had yet to send.
VERIFY_TIMEOUT = OPEN_TIMEOUT + 15.0
#: Times that the count, and the state, are asked for again after "closed" when there is no sound answer.
VERIFY_TRIES = 2
#: State of QISTATE after an orderly end by the peer. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4.
STATE_REMOTE_CLOSING = 4


def end_delay(to: Transitions) -> float:
    """Seconds without a push that make a stream closed by its peer complete."""
    return LONG_END_DELAY if to.counters["late_data"] else END_DELAY


def passes_on(link: Connection, to: Transitions, data: bytes, now: float) -> None:
    """Give the application what the peer sent."""
    link.note_received()
    link.alive_at = now
    if link.is_half_closed:
        link.linger_deadline = now + link.linger
    to.emit(DataReceived(link.key, data))


class _AfterClosed(Phase):
    """The modem said closed, and what it meant is not told yet."""

    def network_gone(self) -> None:
        self.reset(make_error(ECONNRESET, "the network was lost when the connection was closed"))

    def damaged(self, is_contained: bool, reason: str) -> None:
        self.reset(make_error(ECONNRESET, f"bytes were lost on the serial line: {reason}"))


class Verifying(_AfterClosed):
    """The modem said closed; whether that is an end of file or a reset is being found out, while data may follow."""

    NEXT = frozenset({"Closing", "Gone"})

    def __init__(self, link: Connection, to: Transitions, now: float, end_delay: float) -> None:
        super().__init__(link, to)
        self._due = now + VERIFY_TIMEOUT
        self._look_at = now + end_delay
        #: Times that the count, or the state, was asked for in vain.
        self._looks = 0
        #: The modem has no count of bytes any more.
        self._is_count_gone = False

    @property
    def is_ending(self) -> bool:
        return True

    def next_command(self, now: float) -> Dispatch | None:
        link = self.link
        if now < self._look_at or self.to.line.is_receiving():
            return None
        if link.delivery.is_acked or link.has_heard or self.to.has_unsent(link):
            self.decide(is_clean=True)
            return None
        assert link.socket_id is not None
        if self._is_count_gone:
            return Dispatch(QISTATE(link.socket_id), self._state_told)
        return Dispatch(QISENDQuery(link.socket_id), self._count_told)

    def _count_told(self, result: FinalResult | None, now: float) -> None:
        """What was written last got no answer: was all of it acknowledged?"""
        link = self.link
        if link.phase is not self:
            return
        account = read_account(result, is_tcp=True)
        if account is not None and account.sent:
            is_acked = account.sent == link.delivery.sent and account.unacked == 0
            self.decide(is_clean=is_acked or link.has_heard)
        elif account is not None or not self._asks_again(result, now):
            # Set to 0 at the end of a connection (§4.2.6), or forgotten.
            self._is_count_gone, self._looks = True, 0

    def _state_told(self, result: FinalResult | None, now: float) -> None:
        """Nothing tells what became of the last bytes but, for what it is worth, the state."""
        link = self.link
        if link.phase is not self:
            return
        rows = read_rows(result)
        states = [row.state for row in rows or () if row.socket_id == link.socket_id]
        # A row that is not there, or does not tell the state, may have been hurt on the line: once more.
        is_uncertain = rows is None or -1 in states or (not states and not self._looks)
        if is_uncertain and self._asks_again(result, now):
            return
        # The answer to what was written may have come behind "closed".
        self.decide(is_clean=STATE_REMOTE_CLOSING in states or link.has_heard)

    def _asks_again(self, result: FinalResult | None, now: float) -> bool:
        """Ask once more where the answer is missing or garbled, or the modem busy."""
        if self._looks >= VERIFY_TRIES or (result is not None and result.code in CLOSED_RESULTS):
            return False
        self._looks += 1
        self._look_at = now if result is None or result.ok else now + END_DELAY
        return True

    def decide(self, is_clean: bool) -> None:
        """It is an end of file, or a reset."""
        link = self.link
        if not is_clean:
            error = make_error(ECONNRESET, "the peer or the network reset the connection", result=567)
            self.to.reset(link, error)
        elif self.to.has_unsent(link):
            error = make_error(ECONNRESET, "the connection was closed with data on its way", result=567)
            self.to.reset(link, error)
        else:
            self.to.release(link, tells_end=True)

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        moments += (self._due, self._look_at)

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        if now >= self._due:
            self.decide(is_clean=False)

    def end_of_data(self, linger: float, now: float) -> None:
        self.link.is_finished, self.link.linger_deadline = True, now + linger
        self.link.look_for_more(now)
        self.to.finish_closed(self.link)

    def abort(self, now: float) -> None:
        self.link.is_released = True
        self.to.release(self.link)

    def received(self, data: bytes, now: float) -> None:
        if not self.link.is_deaf:
            self._look_at = max(self._look_at, now + end_delay(self.to))
            passes_on(self.link, self.to, data, now)

    def put_off_end(self, now: float, moment: float) -> None:
        self._look_at = max(self._look_at, moment)

    def reset(self, error: OSError) -> None:
        self.to.reset(self.link, error)

    def lost(self, error: OSError, now: float) -> None:
        self.to.lost(self.link, error, now)


class Closing(_AfterClosed):
    """QICLOSE is due (``is_asked`` is False), or is out or was accepted, and CLOSE OK is not there."""

    NEXT = frozenset({"Gone"})

    def __init__(
        self,
        link: Connection,
        to: Transitions,
        *,
        is_half_open: bool = False,
        tells_end: bool = False,
        tries: int = 0,
    ) -> None:
        super().__init__(link, to)
        #: QIOPEN was given up without its outcome: until QICLOSE the modem may still be at it, and refuse another.
        self.is_half_open = is_half_open
        #: It is an end of file, which is told when QICLOSE was answered; and when to tell it at the latest.
        self.tells_end = tells_end
        self.end_due: float | None = None
        #: The application knows of the end.
        self.is_end_told = False
        self.is_asked = False
        self.tries = tries
        #: When QICLOSE is tried again; and when CLOSE OK is overdue.
        self._look_at = 0.0
        self._close_due: float | None = None

    @property
    def is_ending(self) -> bool:
        return self.tells_end

    def next_command(self, now: float) -> Dispatch | None:
        if self.is_asked or now < self._look_at or not self._may_close(now):
            return None
        assert self.link.socket_id is not None
        self.is_asked = True
        self.tries += 1
        self._close_due = now + CLOSE_TIMEOUT
        return Dispatch(QICLOSE(self.link.socket_id), self._answered)

    def _may_close(self, now: float) -> bool:
        """CLOSE OK names no socket, so there is one close at a time."""
        return self.to.table.closing() is None and not self.to.ids.is_claim_closing(now)

    def _answered(self, result: FinalResult | None, now: float) -> None:
        link = self.link
        if link.phase is not self or not self.is_asked:
            return
        if result is None:
            self._overdue(now)
        elif result.ok:
            self.end_due = now + END_TIMEOUT if self.tells_end else None
        elif result.code is None and self.to.segments.owes_outcome(now):
            # It may refuse everything until that has come.
            self.to.tell_end(link)
            self.tries = 0
            self._try_again(now + CLOSE_RETRY_TIME)
        elif result.code in CLOSED_RESULTS or self.tries > 1 or (link.has_closed and result.code is None):
            # The bare ERROR of a modem that has forgotten the socket at "closed".
            self.to.gone(link, now)
        else:
            # A refusal for another reason would leave the socket open in the modem for ever: ask once more. What comes
            # until then still counts: the command may have been hurt on the line.
            self._try_again(now + CLOSE_RETRY_TIME)

    def _try_again(self, at: float) -> None:
        self._close_due, self._look_at, self.is_asked = None, at, False

    def _overdue(self, now: float) -> None:
        if self.tries < CLOSE_TRIES:
            self._try_again(self._look_at)
            return
        self.to.log(WARNING, f"the module never confirmed that socket {self.link.socket_id} is closed")
        self.to.gone(self.link, now)

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        moments += (self._close_due, self.end_due, None if self.is_asked else self._look_at)

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        if self._close_due is not None and now >= self._close_due and self.is_asked:
            self._overdue(now)
        elif self.end_due is not None and now >= self.end_due and self.tells_end:
            # What is on the line at this time still belongs to it, and may be behind the answer to something else.
            self.end_due = now + QUIET_TIME if self.to.line.is_busy(now) else None
            if self.end_due is None:
                self.to.tell_end(self.link)

    def end_of_data(self, linger: float, now: float) -> None:
        self.link.is_finished = True
        if self.tells_end:
            self.to.finish_closed(self.link)

    def abort(self, now: float) -> None:
        self.link.is_released = True
        self.tells_end = False

    def received(self, data: bytes, now: float) -> None:
        if self.tells_end:
            self.put_off_end(now, now + end_delay(self.to))
            if self._close_due is not None:
                self._close_due = now + CLOSE_TIMEOUT  # CLOSE OK is behind what it has yet to push
            passes_on(self.link, self.to, data, now)
        elif self.is_end_told or not self.link.key:
            assert self.link.socket_id is not None
            self.to.came_late(self.link.socket_id, data)

    def put_off_end(self, now: float, moment: float) -> None:
        if self.tells_end and not self.is_asked:
            self._look_at = max(self._look_at, moment)
        elif self.tells_end and self.end_due is not None:
            self.end_due = max(self.end_due, moment)

    def reset(self, error: OSError) -> None:
        if self.tells_end:
            self.to.reset(self.link, error)

    def lost(self, error: OSError, now: float) -> None:
        self.reset(error)
        self.to.gone(self.link, now)
