"""What the modem's bytes mean: the events that :meth:`Chat.next_event` gives."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal

from nbsocket._at._command import Command, InfoResponse
from nbsocket._dataclass import dataclass

__all__ = [
    "NEED_DATA",
    "CloseOk",
    "ClosedUrc",
    "CommandTimeout",
    "Damaged",
    "DnsAddress",
    "DnsResult",
    "Echo",
    "Event",
    "FinalResult",
    "IpAssigned",
    "NeedData",
    "Notice",
    "NtpResult",
    "OpenResult",
    "PingLine",
    "PingSummary",
    "Prompt",
    "Rdy",
    "Received",
    "Registration",
    "Sleep",
    "StrayResult",
    "UnknownLine",
]


class NeedData(Enum):
    """Type of :data:`NEED_DATA`."""

    NEED_DATA = "NEED_DATA"


#: No event is complete: feed more bytes.
NEED_DATA: Final[Literal[NeedData.NEED_DATA]] = NeedData.NEED_DATA


@dataclass(frozen=True, slots=True)
class FinalResult:
    """The pending command is done; the next one may be sent."""

    command: Command[Any]
    #: True for OK and SEND OK.
    ok: bool
    #: As received: "OK", "SEND OK", "SEND FAIL", "ERROR", "+CME ERROR: 50".
    text: str
    #: The number after +CME ERROR, None when there is none.
    code: int | None = None
    #: What the command's ``parse`` takes.
    responses: tuple[InfoResponse, ...] = ()
    #: An error after OK, where only SEND OK and SEND FAIL are outcomes (BC260Y-CN TCP/IP guide 1.1 §2.3.5).
    is_misplaced: bool = False
    #: OK had come after all of the command, payload included: the modem waits for nothing more of it.
    was_taken: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """The modem waits for the payload: answer with :meth:`Chat.send_payload`."""

    command: Command[Any]


@dataclass(frozen=True, slots=True)
class CommandTimeout:
    """No final result in time. The state is ERROR: only ``reset()`` is legal."""

    command: Command[Any]
    #: The payload prompt had come, so the modem may still be waiting for payload bytes.
    was_prompted: bool
    #: It took the command whole and said so (OK): only the outcome (SEND OK, SEND FAIL) is late.
    was_accepted: bool = False
    #: Something came meanwhile that makes no sense here: it may have been the answer.
    was_garbled: bool = False


@dataclass(frozen=True, slots=True)
class OpenResult:
    """``+QIOPEN: id,result``. BC260Y-CN TCP/IP guide 1.1 §2.3.2."""

    socket_id: int
    #: 0, or a result code of §3.
    result: int


@dataclass(frozen=True, slots=True)
class CloseOk:
    """``CLOSE OK``: names no socket. BC260Y-CN TCP/IP guide 1.1 §2.3.3."""


@dataclass(frozen=True, slots=True)
class Received:
    """``+QIURC: "recv"``: payload from the peer. BC260Y-CN TCP/IP guide 1.1 §2.4.2."""

    socket_id: int
    #: Decoded; may be empty (an empty datagram).
    data: bytes


@dataclass(frozen=True, slots=True)
class ClosedUrc:
    """``+QIURC: "closed"``. BC260Y-CN TCP/IP guide 1.1 §2.4.1."""

    socket_id: int


@dataclass(frozen=True, slots=True)
class DnsResult:
    """First line of the outcome of AT+QIDNSGIP. BC260Y-CN TCP/IP guide 1.1 §2.3.6."""

    #: 0, or a result code of §3.
    result: int
    #: How many DnsAddress events follow.
    count: int


@dataclass(frozen=True, slots=True)
class DnsAddress:
    """One address that AT+QIDNSGIP found."""

    address: str


@dataclass(frozen=True, slots=True)
class PingLine:
    """Outcome of one ping, or of all of them when the whole operation failed. BC260Y-CN TCP/IP guide 1.1 §2.3.8."""

    #: 0, or a result code of §3.
    result: int
    address: str | None = None
    #: Bytes.
    size: int | None = None
    #: Milliseconds.
    time_ms: int | None = None
    #: None before firmware BC260YCNAAR01A03.
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class PingSummary:
    """Last line of AT+QPING. BC260Y-CN TCP/IP guide 1.1 §2.3.8."""

    #: 0, or a result code of §3.
    result: int
    #: Packets (the manual's text says bytes, its example shows packets).
    sent: int
    received: int
    lost: int
    #: Milliseconds.
    min_ms: int
    max_ms: int
    avg_ms: int


@dataclass(frozen=True, slots=True)
class NtpResult:
    """Outcome of AT+QNTP. BC260Y-CN TCP/IP guide 1.1 §2.3.9."""

    #: 0, or a result code of §3.
    result: int
    #: As received; ``parse_time`` reads it.
    time: str | None = None


@dataclass(frozen=True, slots=True)
class Rdy:
    """``RDY``: the modem has booted, and forgotten every socket."""


@dataclass(frozen=True, slots=True)
class IpAssigned:
    """``+IP:``: the modem is attached."""

    address: str


@dataclass(frozen=True, slots=True)
class Registration:
    """``+CEREG:`` unasked. TS 27.007 §10.1.22."""

    #: See RegistrationStatus.
    stat: int
    cause_type: int | None = None
    reject_cause: int | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """``+QNBIOEVENT:`` or ``+QNBIOTEVENT:`` about deep sleep. BC260Y-CN TCP/IP guide 1.1 §4.3.9."""

    #: False: it has woken up.
    is_entered: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A well-formed URC that needs no action."""

    line: str


@dataclass(frozen=True, slots=True)
class Echo:
    """The line of the pending command, or of one of those before it, came back."""

    line: str


@dataclass(frozen=True, slots=True)
class StrayResult:
    """A final result that no command waits for."""

    text: str


@dataclass(frozen=True, slots=True)
class UnknownLine:
    """A line of no known kind: log it and go on."""

    line: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes were lost or garbled on the serial line."""

    reason: str
    #: Whose payload it was, when that is certain.
    socket_id: int | None = None
    #: Only the stream of ``socket_id`` can have lost bytes; framing is sound again.
    is_contained: bool = False
    #: It was no payload: that comes as hex digits, and the line has other characters.
    is_harmless: bool = False


Event = (
    FinalResult
    | Prompt
    | CommandTimeout
    | OpenResult
    | CloseOk
    | Received
    | ClosedUrc
    | DnsResult
    | DnsAddress
    | PingLine
    | PingSummary
    | NtpResult
    | Rdy
    | IpAssigned
    | Registration
    | Sleep
    | Notice
    | Echo
    | StrayResult
    | UnknownLine
    | Damaged
)
