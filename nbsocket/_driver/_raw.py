"""The request behind ``Modem.command()``: any command, and what comes of it later.

A raw AT+QIOPEN makes a socket that belongs to the user, not to a connection of ours: its number is claimed, so that it
is neither given to a connection nor closed as an orphan.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from nbsocket._at import (
    ClosedUrc,
    CloseOk,
    DnsAddress,
    DnsResult,
    FinalResult,
    NtpResult,
    OpenResult,
    PingLine,
    PingSummary,
    Raw,
    Received,
)
from nbsocket._dataclass import dataclass
from nbsocket._driver._requests import OUTCOME_TIMEOUT, RequestContext, carried_out, checked
from nbsocket._driver._script import Await, Report, Steps
from nbsocket._driver._socket_ids import CLOSE_TIMEOUT

__all__ = ["RawCommand", "check_raw_command", "line_of"]

_ID_RE = re.compile(r"AT\+(?:QIOPEN=\s*\d+\s*,|(QICLOSE)=)\s*([0-4])\s*(?:,.*)?", re.ASCII)
_PING_RE = re.compile(r'AT\+QPING=\s*\d+\s*,\s*"[^"]*"\s*(?:,\s*(\d+)\s*)?(?:,\s*(\d+)\s*)?(?:,.*)?', re.ASCII)
#: Commands that change how this program speaks to the modem: echo, results, errors, registration, data format; and
#: those of them after which received data may come as text.
_SETTING_RE = re.compile(r"AT(?:[EVQZ]|&F|.*\+(?:CMEE|CEREG)\s*=\s*\d|.*\+QICFG\s*=\s*\"DATAFORMAT\"\s*,)", re.ASCII)
_FORMAT_RE = re.compile(r"AT(?:Z|&F|.*\+QICFG)", re.ASCII)
#: One that says itself how they come from now on: 0 text, 1 hex. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.1.
_TOLD_FORMAT_RE = re.compile(r"AT\+QICFG\s*=\s*\"DATAFORMAT\"\s*,\s*[01]?\s*,\s*([01])\s*", re.ASCII)
_NAME_RE = re.compile(r"AT(\+[A-Z]+)=[^?]", re.ASCII)

#: The manual's defaults of AT+QPING. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8.
PING_TIMEOUT, PING_COUNT = 4, 4


@dataclass(frozen=True, slots=True)
class RawCommand:
    """Gives the information lines of any command: list[str]. Fails with OSError on an error result.

    With ``wants_outcome`` the lines that come after the OK of AT+QIOPEN, AT+QICLOSE, AT+QIDNSGIP, AT+QPING and AT+QNTP
    are waited for too, and every line is reported as it comes, the final result among them.
    """

    text: str
    data: bytes | None = None
    wants_outcome: bool = False
    needs_network: ClassVar[bool] = False
    is_exclusive: ClassVar[bool] = False

    @property
    def turn(self) -> str | None:
        """That of the request which uses the same facility."""
        outcome = self._outcome
        return outcome.turn if outcome is not None else None

    @property
    def listens(self) -> tuple[type, ...]:
        """Only to the outcome of its own command: those of others are waited for elsewhere."""
        outcome = self._outcome
        return outcome.kinds if outcome is not None and self.wants_outcome else ()

    @property
    def waits_for_late(self) -> bool:
        """Only a command whose outcome is waited for could take another one for it."""
        return self.wants_outcome

    @property
    def _outcome(self) -> _Outcome | None:
        name = _NAME_RE.match(self.text.upper())
        return _OUTCOMES.get(name[1]) if name is not None else None

    def steps(self, context: RequestContext) -> Steps[list[str]]:
        match = _ID_RE.fullmatch(self.text.upper())
        is_close = match is not None and bool(match[1])
        is_new = match is not None and not is_close and context.claim_socket(int(match[2]))
        if _SETTING_RE.match(self.text.upper()) is not None:
            told = _TOLD_FORMAT_RE.fullmatch(self.text.upper())
            may_be_format = _FORMAT_RE.match(self.text.upper()) is not None
            context.user_changes_settings(may_be_format, None if told is None else told[1] == "1")
        answer = yield from self._answer(context)
        # Opening one that is open already fails, and changes nothing.
        if match is not None and (is_close or (is_new and not answer.ok)):
            context.release_socket(int(match[2]), is_closed=not answer.ok)
        lines: list[str] = list(checked(answer))
        if not self.wants_outcome:
            return lines
        for line in lines:
            yield Report(line)
        yield Report(answer.text)
        outcome = self._outcome
        events = (yield from outcome.wait(self.text)) if outcome is not None else []
        if outcome is not None and outcome.is_anonymous and not events:
            context.late_outcomes(outcome.turn).owe(self.text, OUTCOME_TIMEOUT)
        for event in events:
            if isinstance(event, CloseOk):
                context.release_socket(int(match[2]) if match else -1, is_closed=True)
            lines.append(line_of(event))
        return lines

    def _answer(self, context: RequestContext) -> Steps[FinalResult]:
        """Give the command; what it leaves to come later is no other request's."""
        command, outcome = Raw(self.text, self.data), self._outcome
        if outcome is None or not outcome.is_anonymous:
            answer: FinalResult = yield command
            return answer
        late = context.late_outcomes(outcome.turn)
        answer = yield from carried_out(command, late, self.text, OUTCOME_TIMEOUT)
        if answer.ok and not self.wants_outcome:
            late.owe(self.text, OUTCOME_TIMEOUT)
        return answer


def _one(kind: type, seconds: float) -> Callable[[str], Steps[list[object]]]:
    def wait(text: str) -> Steps[list[object]]:
        event: object = yield Await((kind,), seconds)
        if event is None:
            return []
        yield Report(line_of(event))
        return [event]

    return wait


def _wait_for_addresses(text: str) -> Steps[list[object]]:
    events = yield from _one(DnsResult, OUTCOME_TIMEOUT)(text)
    result = events[0] if events else None
    for _ in range(result.count if isinstance(result, DnsResult) and not result.result else 0):
        events += yield from _one(DnsAddress, 5.0)(text)
    return events


def _wait_for_pings(text: str) -> Steps[list[object]]:
    match = _PING_RE.fullmatch(text.upper())
    timeout = int(match[1] or PING_TIMEOUT) if match else PING_TIMEOUT
    count = int(match[2] or PING_COUNT) if match else PING_COUNT
    events: list[object] = []
    seconds = timeout + OUTCOME_TIMEOUT
    while len(events) <= count:
        event: PingLine | PingSummary | None = yield Await((PingLine, PingSummary), seconds)
        if event is None:
            break
        yield Report(line_of(event))
        events.append(event)
        if isinstance(event, PingSummary) or event.result not in (0, 569):
            break
        seconds = (timeout if len(events) < count else 0) + 5.0
    return events


class _Outcome(NamedTuple):
    """What comes after the OK of a command."""

    turn: str
    kinds: tuple[type, ...]
    wait: Callable[[str], Steps[list[object]]]
    #: It names neither its command nor a socket.
    is_anonymous: bool = False


_ADDRESSES = _Outcome("dns", (DnsResult, DnsAddress), _wait_for_addresses, is_anonymous=True)
_TIME = _Outcome("ntp", (NtpResult,), _one(NtpResult, OUTCOME_TIMEOUT), is_anonymous=True)

_OUTCOMES: dict[str, _Outcome] = {
    "+QIOPEN": _Outcome("open", (OpenResult,), _one(OpenResult, OUTCOME_TIMEOUT + 5.0)),
    "+QICLOSE": _Outcome("close", (CloseOk,), _one(CloseOk, CLOSE_TIMEOUT)),
    "+QIDNSGIP": _ADDRESSES,
    "+QDNSGIP": _ADDRESSES,
    "+QPING": _Outcome("ping", (PingLine, PingSummary), _wait_for_pings, is_anonymous=True),
    "+QNTP": _TIME,
    "+QNTPT": _TIME,
    "+QNTTP": _TIME,
}


def check_raw_command(text: str, data: bytes | None) -> None:
    """Raise ValueError unless it is one command line, with the payload that it takes."""
    Raw(text, data)


def line_of(event: object) -> str:
    """Write an outcome or a URC about a socket as the modem's line."""
    return _LINES[type(event)](event)


def _fields(*values: object) -> str:
    return ",".join(str(value) for value in values if value is not None)


_LINES: dict[type, Callable[[Any], str]] = {
    OpenResult: lambda event: f"+QIOPEN: {event.socket_id},{event.result}",
    CloseOk: lambda event: "CLOSE OK",
    DnsResult: lambda event: f"+QIDNSGIP: {event.result}" if event.result else f"+QIDNSGIP: 0,{event.count},0",
    DnsAddress: lambda event: f"+QIDNSGIP: {event.address}",
    PingLine: lambda event: f"+QPING: {_fields(event.result, event.address, event.size, event.time_ms, event.ttl)}",
    PingSummary: lambda event: (
        "+QPING: "
        + _fields(event.result, event.sent, event.received, event.lost, event.min_ms, event.max_ms, event.avg_ms)
    ),
    NtpResult: lambda event: f"+QNTP: {event.result}" + (f',"{event.time}"' if event.time else ""),
    Received: lambda event: f'+QIURC: "recv",{event.socket_id},{len(event.data)},"{event.data.hex().upper()}"',
    ClosedUrc: lambda event: f'+QIURC: "closed",{event.socket_id}',
}
