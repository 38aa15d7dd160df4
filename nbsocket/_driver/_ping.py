"""The request behind ``Modem.ping()``."""

from __future__ import annotations

import re
from errno import EINVAL, ETIMEDOUT
from typing import ClassVar

from nbsocket._at import CGMR, QPING, FinalResult, PingLine, PingSummary
from nbsocket._dataclass import dataclass
from nbsocket._driver._answers import TIMED_OUT
from nbsocket._driver._requests import OUTCOME_TIMEOUT, Plain, RequestContext, asked_twice, checked
from nbsocket._driver._script import Await, Report, Steps
from nbsocket._driver._values import PingReply, PingResult
from nbsocket._errors import error_from_result, make_error

__all__ = ["Ping"]

#: Largest ping of firmware before BC260YCNAAR01A03. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8, note.
OLD_SIZE_LIMIT = 200

#: Seconds that the summary may come after the last reply.
SUMMARY_TIMEOUT = 5.0

_OLD_FIRMWARE_RE = re.compile(r"BC260YCNAAR01A0[012]\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ping(Plain):
    """Gives a :class:`PingResult`, and reports each :class:`PingReply` as it comes.

    Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8.
    """

    host: str
    timeout: int = 20
    count: int = 4
    size: int = 32
    rai: bool = False
    needs_network: ClassVar[bool] = True
    turn: ClassVar[str | None] = "ping"
    listens: ClassVar[tuple[type, ...]] = (PingLine, PingSummary)

    def __post_init__(self) -> None:
        # Refuses at the call what must not reach the wire.
        QPING(self.host, self.timeout, self.count, self.size, int(self.rai))

    def steps(self, context: RequestContext) -> Steps[PingResult]:
        try:
            command = context.firmware.profile.ping(self.host, self.timeout, self.count, self.size, int(self.rai))
        except ValueError as error:  # its bytes are too many for this model
            raise make_error(EINVAL, str(error)) from None
        late = context.late_outcomes("ping")
        if self.size > OLD_SIZE_LIMIT:
            yield from self._check_size()
        checked((yield from asked_twice(command, late, self.host, self.timeout + OUTCOME_TIMEOUT)))
        replies: list[PingReply] = []
        # The first may have to wait for a look-up and for the radio.
        seconds = self.timeout + OUTCOME_TIMEOUT
        while len(replies) < self.count:
            line: PingLine | PingSummary | None = yield Await((PingLine, PingSummary), seconds)
            if line is None and not replies:
                late.owe(self.host, seconds)
                raise make_error(ETIMEDOUT, f"no outcome of {command.line}", command=command.line)
            if line is None:
                # Total failure is one line alone.
                return self._summary(None, replies)
            if isinstance(line, PingSummary):
                return self._summary(line, replies)
            if line.result not in (0, TIMED_OUT):
                raise error_from_result(line.result, command.line)
            rtt = None if line.time_ms is None else line.time_ms / 1000
            replies.append(PingReply(line.address, line.size, rtt, line.ttl, line.result))
            yield Report(replies[-1])
            seconds = self.timeout + SUMMARY_TIMEOUT
        line = yield Await((PingLine, PingSummary), SUMMARY_TIMEOUT)
        while isinstance(line, PingLine) and late:
            # Of the other run, where the command was given twice and carried out twice.
            line = yield Await((PingLine, PingSummary), SUMMARY_TIMEOUT)
        return self._summary(line if isinstance(line, PingSummary) else None, replies)

    def _check_size(self) -> Steps[None]:
        answer: FinalResult = yield CGMR()
        revision = str(checked(answer)) if answer.ok else ""
        if _OLD_FIRMWARE_RE.search(revision):
            raise make_error(
                EINVAL, f"size must be 32 to {OLD_SIZE_LIMIT} with firmware {revision}, not {self.size}", result=None
            )

    def _summary(self, line: PingSummary | None, replies: list[PingReply]) -> PingResult:
        times = [reply.rtt for reply in replies if reply.rtt is not None]
        sent, received = self.count, len(times)
        low, high, mean = (min(times), max(times), sum(times) / len(times)) if times else (None, None, None)
        if line is not None and not line.result:
            sent, received = line.sent, line.received
            if times:
                low, high, mean = line.min_ms / 1000, line.max_ms / 1000, line.avg_ms / 1000
        return PingResult(sent, received, sent - received, low, high, mean, tuple(replies))
