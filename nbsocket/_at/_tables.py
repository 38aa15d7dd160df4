"""What a line means: final results, and the readers of URCs and outcomes, by prefix."""

from __future__ import annotations

import re
from collections.abc import Callable

from nbsocket._at._command import REGISTRATION_ANSWER_RE
from nbsocket._at._commands_network import MAX_SOCKET_ID
from nbsocket._at._damage import is_damaged_urc
from nbsocket._at._events import (
    ClosedUrc,
    CloseOk,
    Damaged,
    DnsAddress,
    DnsResult,
    Event,
    IpAssigned,
    Notice,
    NtpResult,
    OpenResult,
    PingLine,
    PingSummary,
    Rdy,
    Registration,
    Sleep,
    UnknownLine,
)
from nbsocket._at._syntax import RemoteProtocolError, read_int, read_own_address, read_reject_cause, split_fields

__all__ = ["FINAL_RESULTS", "SEND_OUTCOMES", "error_code", "is_error", "read_urc", "split_line"]

#: Final results that are whole lines, and whether they mean success. BC260Y-CN TCP/IP guide 1.1 §2.3.
FINAL_RESULTS = {"OK": True, "ERROR": False, "SEND OK": True, "SEND FAIL": False}

#: Those that only end AT+QISEND. §2.3.5.
SEND_OUTCOMES = frozenset({"SEND OK", "SEND FAIL"})

#: First fields of +QPING below the result codes, on the siblings BC66, BC26 and BC25: a ping that got no reply, the
#: summary, and a run that was broken off.
PING_CODES = {1: 569, 2: 0, 4: 550}

#: Words of ``+CME ERROR`` after AT+CMEE=2 that stand for a result code. §3, table 2; capitals count, for TS 27.007 §9.2
#: has "operation not allowed" and others of its own, which mean something else.
RESULT_TEXTS = {
    "Unknown error": 550,
    "Operation blocked": 551,
    "Invalid parameters": 552,
    "Memory not enough": 553,
    "Create socket failed": 554,
    "Operation not supported": 555,
    "Socket bind failed": 556,
    "Socket listen failed": 557,
    "Socket write failed": 558,
    "Socket read failed": 559,
    "Socket accept failed": 560,
    "Open PDP context failed": 561,
    "Close PDP context failed": 562,
    "Socket identity has been used": 563,
    "DNS busy": 564,
    "DNS parse failed": 565,
    "Socket connection failed": 566,
    "Socket has been closed": 567,
    "Operation busy": 568,
    "Operation timeout": 569,
    "PDP context broken down": 570,
    "Cancel send": 571,
    "Operation not allowed": 572,
    "APN not configured": 573,
    "Port busy": 574,
    # Of TS 27.007 §9.2, those that tell why there is no network.
    "operation not allowed": 3,
    "SIM not inserted": 10,
    "SIM PIN required": 11,
    "SIM PUK required": 12,
    "SIM failure": 13,
    "SIM busy": 14,
    "SIM wrong": 15,
    "no network service": 30,
}

_ERROR_RE = re.compile(r"\+CM[ES] ERROR *: *(.*)")
_LINE_RE = re.compile(r"(\+[A-Z][A-Z0-9]*) *: *(.*)")
_ADDRESS_RE = re.compile(r"[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*")

Reader = Callable[[str, list["str | None"]], "Event | None"]


def is_error(line: str) -> bool:
    """Whether the line is ``+CME ERROR: <number or text>``. TS 27.007 §9.2."""
    return _ERROR_RE.fullmatch(line) is not None


def error_code(line: str) -> int | None:
    """The number in ``+CME ERROR: <number or text>``; None when there is none, or the text is no result code's."""
    match = _ERROR_RE.fullmatch(line)
    if match is None:
        return None
    text = match[1].strip()
    return int(text) if re.fullmatch(r"\d{1,5}", text, re.ASCII) else RESULT_TEXTS.get(text)


def split_line(line: str) -> tuple[str, str]:
    """Split ``+NAME: text`` into its prefix and its text; ("", line) for any other line."""
    match = _LINE_RE.fullmatch(line)
    return (match[1], match[2]) if match is not None else ("", line)


# A reader takes the line's text and its fields; it gives None, or lets RemoteProtocolError go, for a malformed line.


def _read_opened(text: str, fields: list[str | None]) -> Event | None:
    socket_id = read_int(fields, 0)
    return OpenResult(socket_id, read_int(fields, 1)) if socket_id <= MAX_SOCKET_ID and len(fields) == 2 else None


def _read_urc(text: str, fields: list[str | None]) -> Event | None:
    if fields[0] == "dnsgip" and len(fields) > 1 and fields[1:] != ["0"]:
        # The BC66 and its relatives: "dnsgip",<err>[,<count>,<ttl>], then "dnsgip","<address>[,<address>...]".
        return _read_dns(text, [(fields[1] or "").partition(",")[0].strip(), *fields[2:]])
    if fields[0] == "closed" and len(fields) == 2 and fields[1] in ("0", "1", "2", "3", "4"):
        return ClosedUrc(int(fields[1]))
    line = f"+QIURC: {text}"
    if is_damaged_urc(line):
        return Damaged(f"a URC that may have been received data: {len(line)} characters")
    return Notice(line)


def _read_dns(text: str, fields: list[str | None]) -> Event | None:
    first = fields[0] or ""
    if "." in first or ":" in first:
        # Whether it is an address, the one who asked decides: what is none is an answer, too, and no reason to wait.
        return DnsAddress(first)
    return DnsResult(read_int(fields, 0), read_int(fields, 1) if len(fields) > 1 else 0)


def _read_ping(text: str, fields: list[str | None]) -> Event | None:
    result = read_int(fields, 0)
    result = PING_CODES.get(result, result)
    if len(fields) == 1:
        return PingLine(result)
    if fields[1] is not None and not _ADDRESS_RE.fullmatch(fields[1]):
        counts = [read_int(fields, index) for index in range(1, len(fields))]
        # A failed operation may leave the times out.
        return PingSummary(result, *counts, *[0] * (6 - len(counts))) if 3 <= len(counts) <= 6 else None
    size, time_ms, ttl = (read_int(fields, index) if index < len(fields) else None for index in (2, 3, 4))
    return PingLine(result, fields[1], size, time_ms, ttl) if len(fields) <= 5 else None


def _read_ntp(text: str, fields: list[str | None]) -> Event | None:
    result = read_int(fields, 0)
    # Not from the fields: the time has a comma, and may come without quotes.
    time = text.partition(",")[2].strip().strip('"')
    return NtpResult(result, time or None)


def _read_address(text: str, fields: list[str | None]) -> Event | None:
    address = read_own_address(fields[0] or "")
    return IpAssigned(address) if address is not None else None


def _read_registration(text: str, fields: list[str | None]) -> Event | None:
    # With <n> it is a late answer to AT+CEREG?: its <stat> is as true as that of a URC.
    if REGISTRATION_ANSWER_RE.match(text):
        fields = fields[1:]
    return Registration(read_int(fields, 0), *read_reject_cause(fields, 4))


def _read_sleep(text: str, fields: list[str | None]) -> Event | None:
    words = (fields[0] or "").upper().split()
    if words == ["ENTER", "DEEPSLEEP"] or words == ["EXIT", "DEEPSLEEP"]:
        return Sleep(words[0] == "ENTER")
    return Notice(f"+QNBIOTEVENT: {text}")


#: URCs and outcomes that are whole lines.
URC_LINES: dict[str, Event] = {
    "RDY": Rdy(),
    "CLOSE OK": CloseOk(),
    # Of the BC66 and its relatives, about light sleep: nothing is lost by it.
    "+QATSLEEP": Notice("+QATSLEEP"),
    "+QATWAKEUP": Notice("+QATWAKEUP"),
}

#: Outcomes that come after the OK of their command. §2.3.
OUTCOMES: dict[str, Reader] = {
    "+QIOPEN": _read_opened,  # §2.3.2
    "+QIDNSGIP": _read_dns,  # §2.3.6
    "+QPING": _read_ping,  # §2.3.8
    "+QNTP": _read_ntp,  # §2.3.9
    "+QNTPT": _read_ntp,  # §2.3.9, by its heading
    "+QNTTP": _read_ntp,  # §4.7
}

#: Readers of everything that comes unasked, by prefix.
URC_READERS: dict[str, Reader] = {
    **OUTCOMES,
    "+QIURC": _read_urc,  # §2.4; "recv" is read by the framer
    "+IP": _read_address,  # §2.3.7, note 2
    "+CEREG": _read_registration,  # TS 27.007 §10.1.22
    "+QNBIOEVENT": _read_sleep,  # §4.3.9
    "+QNBIOTEVENT": _read_sleep,  # the same on real modules
}

#: Known URCs that need no action.
NOTICES = frozenset({"+CFUN", "+CPIN", "+CSCON", "+CGEV", "+CTZE", "+CTZEU", "+CTZV", "+CTZR", "+CEDRXP", "+QUSIM"})


def read_urc(line: str, prefix: str, text: str) -> Event | None:
    """Read a URC or an outcome; None when the line is no known one."""
    if line in URC_LINES:
        return URC_LINES[line]
    if prefix in NOTICES:
        return Notice(line)
    reader = URC_READERS.get(prefix)
    if reader is None:
        return None
    try:
        return reader(text, split_fields(text)) or UnknownLine(line)
    except RemoteProtocolError:
        return UnknownLine(line)
