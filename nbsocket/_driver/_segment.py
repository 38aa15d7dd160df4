"""One outgoing segment, of a stream or one datagram, from the moment it is taken until its fate is known."""

from __future__ import annotations

from nbsocket._dataclass import dataclass

__all__ = ["LOOK_INTERVAL", "Segment"]

#: Seconds from one look at the modem's count to the next; doubled up to the longest pause.
LOOK_INTERVAL = 2.0


@dataclass(eq=False)
class Segment:
    """What was taken from the application, and what is known of it."""

    data: bytes

    #: It is being sent: the answer is not there.
    is_sending: bool = False
    #: It was sent, and whether the modem has it is not known: ``_segments`` finds it out.
    is_unconfirmed: bool = False

    # -- while it is unconfirmed

    #: Its outcome may still come: for how many seconds from the first look at the count, and until when.
    awaits_outcome: bool = False
    outcome_timeout: float = 0.0
    outcome_due: float | None = None
    #: A SEND OK came late that can only be its own.
    has_late_ok: bool = False
    #: The modem had said OK to all of it, so that it waits for none of its payload.
    is_taken: bool = False
    #: The modem has answered the question for its count since, if only by a refusal: it waits for no payload.
    is_heeded: bool = False
    #: Times that the count was asked for in vain, when to look again, and the pause after that.
    looks: int = 0
    look_at: float = 0.0
    look_interval: float = LOOK_INTERVAL
    #: Answers of QISTATE in a row that do not list the socket.
    unlisted: int = 0
    #: The last answer to the question for its count was an error; QISTATE has listed the socket since.
    is_count_refused: bool = False
    is_listed: bool = False

    # -- over all its tries

    #: How often it was refused, when last, what the modem said, with its number if it gave one; and when it goes out
    #: again.
    tries: int = 0
    refused_at: float = 0.0
    refusal: str = ""
    refusal_code: int | None = None
    retry_at: float = 0.0
    #: Since when it has not got through.
    stalled_at: float | None = None
    #: UDP: QISTATE was asked whether the modem, which refuses the datagram again and again, still has the socket.
    is_sought: bool = False
    #: Times in a row that both forms of QISTATE were answered with an error.
    state_refusals: int = 0

    def unconfirm(self, now: float) -> None:
        """There was no sound outcome: whether the modem has it has to be found out."""
        self.is_unconfirmed, self.awaits_outcome, self.outcome_due = True, False, None
        self.has_late_ok = self.is_taken = self.is_heeded = self.is_count_refused = self.is_listed = False
        self.looks, self.look_at, self.look_interval, self.unlisted = 0, now, LOOK_INTERVAL, 0
        if self.stalled_at is None:
            self.stalled_at = now

    def resend(self) -> None:
        """The modem does not have it: it goes out again."""
        self.is_unconfirmed, self.awaits_outcome, self.outcome_due = False, False, None
