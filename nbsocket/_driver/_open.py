"""An open connection: sending, acknowledgement, and the application's close."""

from __future__ import annotations

from collections.abc import Callable
from errno import ECONNRESET, ETIMEDOUT

from nbsocket._at import FinalResult, QISENDQuery
from nbsocket._driver._answers import CLOSED_RESULTS, read_account
from nbsocket._driver._closing import end_delay, passes_on
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._log_limit import WARNING
from nbsocket._driver._phase import Phase
from nbsocket._errors import make_error

__all__ = ["Open"]

#: A half-closed connection is given up after so many seconds without data, unless a longer linger time is set.
HALF_CLOSED_IDLE = 60.0
#: Seconds for which a modem that does not tell the count is asked for it before a connection whose time-out is over is
#: given up: what the peer has acknowledged is not known meanwhile.
COUNT_TIMEOUT = 15.0
#: Seconds until a count that is another than ours is looked at again.
SECOND_LOOK = 2.0
#: Seconds in which a datagram that is being sent at the end of the linger time is still waited for.
SENDING_TIME = 5.0


class Open(Phase):
    """The modem has it open, as far as is known."""

    NEXT = frozenset({"Queued", "Verifying", "Closing", "Gone"})

    def next_command(self, now: float) -> Dispatch | None:
        link = self.link
        segment = link.segment
        if segment is not None:
            return self.to.segments.look(link, now) if segment.is_unconfirmed else None
        due = link.delivery.query_at
        if due is not None and now >= due and link.socket_id is not None:
            return Dispatch(QISENDQuery(link.socket_id), self._acknowledged)
        return None

    def add_deadlines(self, moments: list[float | None], is_line_free: bool) -> None:
        link = self.link
        if link.linger_deadline is not None:
            moments.append(link.linger_deadline)
        if not is_line_free:
            return
        segment = link.segment
        moments.append(link.delivery.query_at)
        if segment is not None or link.lookahead is not None or link.available:
            moments.append(link.ready_at)
        if segment is not None and segment.is_unconfirmed:
            moments.append(segment.look_at)

    def handle_timeout(self, now: float, is_attached: bool, why_not: Callable[[], str]) -> None:
        link = self.link
        if link.linger_deadline is None or now < link.linger_deadline:
            return
        if link.is_sending and not link.is_tcp:
            link.linger_deadline = now + SENDING_TIME  # it cannot be called back
        elif link.is_finished:
            self.to.log(WARNING, f"closing {link.host} port {link.port} with data that is not acknowledged")
            self.to.release(link)
        else:
            error = make_error(ETIMEDOUT, "nothing came from the peer after shutdown(SHUT_WR)", result=569)
            self.to.reset(link, error)

    # -- what the application says

    def end_of_data(self, linger: float, now: float) -> None:
        self.link.is_finished, self.link.linger_deadline = True, now + linger
        self.link.look_for_more(now)

    def half_close(self, linger: float, now: float) -> None:
        link = self.link
        link.is_half_closed, link.linger = True, max(linger, HALF_CLOSED_IDLE)
        link.linger_deadline = now + link.linger
        link.look_for_more(now)

    def abort(self, now: float) -> None:
        self.link.is_released = True
        self.to.release(self.link)

    def resume(self, now: float) -> None:
        """Datagrams: send what was written before there was a socket; then close if that is wanted."""
        link = self.link
        if link.reopenings or link.is_finished:
            link.available, link.ready_at = max(link.available, 1), now
        if link.is_finished:
            link.linger_deadline = now + link.linger

    # -- acknowledgement

    def _acknowledged(self, result: FinalResult | None, now: float) -> None:
        """Take the modem's count of what was sent, and what the peer has acknowledged of it."""
        link, delivery = self.link, self.link.delivery
        if link.phase is not self:
            return
        account = read_account(result, link.is_tcp)
        if account is not None and account.sent != delivery.sent:
            self._miscounted(now)
            return
        if account is None:
            self.to.has_lost_any |= result is not None and result.code in CLOSED_RESULTS
            delivery.ask_again(link.is_finished, now)
            delivery.untold_since = now if delivery.untold_since is None else delivery.untold_since
            if delivery.is_overdue(now) or delivery.is_miscounted:
                delivery.query_at = min(delivery.query_at or now, now + COUNT_TIMEOUT / 3)
            is_decided = now >= delivery.untold_since + COUNT_TIMEOUT
        else:
            delivery.note_count(account.sent, account.acked, account.unacked, link.is_finished, now)
            delivery.untold_since, delivery.is_miscounted, is_decided = None, False, True
        if delivery.is_acked:
            self.flushed(now)
        elif is_decided and delivery.is_overdue(now) and not delivery.is_answered:
            seconds = delivery.user_timeout
            self.to.reset(link, make_error(ETIMEDOUT, f"the peer acknowledged nothing for {seconds:g} s", result=569))

    def _miscounted(self, now: float) -> None:
        """A SEND OK was none, or something else became payload. One look may come before "closed", which zeroes the
        count."""
        delivery = self.link.delivery
        if delivery.is_miscounted:
            error = make_error(ECONNRESET, "the module lost count of the data sent", command="AT+QISEND")
            self.to.reset(self.link, error)
        else:
            delivery.is_miscounted, delivery.query_at = True, now + SECOND_LOOK

    def flushed(self, now: float) -> None:
        """Nothing is left to send; if the application is gone too, end it once all is acknowledged."""
        link = self.link
        if not link.is_finished or link.phase is not self:
            return
        # Otherwise nothing was left when it was looked for after the application's close: nothing was written since.
        if link.is_busy_sending and self.to.has_unsent(link):
            return
        if link.is_tcp and not link.delivery.is_acked:
            link.delivery.ask_before_close(now)
            return
        self.to.release(link)

    # -- what the modem says

    def received(self, data: bytes, now: float) -> None:
        if not self.link.is_deaf:
            passes_on(self.link, self.to, data, now)

    def peer_closed(self, now: float) -> None:
        link = self.link
        if not link.is_tcp:
            self._closed_datagrams(now)
            return
        link.has_closed, link.closed_at = True, now
        self.to.segments.believe_late_ok(link, now)
        if link.is_finished:
            self.to.finish_closed(link)
        elif link.is_unconfirmed or (not link.is_sending and self.to.has_unsent(link)):
            error = make_error(ECONNRESET, "the connection was closed with data on its way", result=567)
            self.to.reset(link, error)
        else:
            self.to.verify(link, now, end_delay(self.to))

    def missing(self, error: OSError, now: float) -> None:
        """The modem has this connection no more, and the others may be there."""
        if self.link.is_tcp:
            self.to.reset(self.link, error)
        else:
            self._closed_datagrams(now)

    def _closed_datagrams(self, now: float) -> None:
        """The modem says so of a UDP socket, which has nothing to close: it has lost it."""
        link = self.link
        if link.is_sending or link.is_unconfirmed:
            return  # the answer to the send will show
        if link.is_busy:
            self.to.reopen(link, now)
        else:
            self.to.release(link)

    # -- faults

    def reset(self, error: OSError) -> None:
        if self.link.is_tcp:
            self.to.reset(self.link, error)

    def damaged(self, is_contained: bool, reason: str) -> None:
        if self.link.is_tcp:
            self.to.reset(self.link, make_error(ECONNRESET, f"bytes were lost on the serial line: {reason}"))
        else:
            self.to.counters["dropped_datagrams"] += 1

    def lost(self, error: OSError, now: float) -> None:
        link = self.link
        if link.is_busy and self.to.may_open_again(link):
            assert link.socket_id is not None
            self.to.ids.give_back(link.socket_id)
            self.to.open_again(link, now)
            return
        self.to.lost(link, error, now)
