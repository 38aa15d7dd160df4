"""What the modem's answers about sockets tell, once they make sense."""

from __future__ import annotations

from nbsocket._at import Acknowledgement, FinalResult, RemoteProtocolError, SocketStatus

__all__ = [
    "CLOSED_RESULTS",
    "NOTHING_SENT_RESULTS",
    "PASSING_RESULTS",
    "TIMED_OUT",
    "read_account",
    "read_code",
    "read_rows",
]

#: The result of what had no answer in time. BC260Y-CN TCP/IP guide 1.1 §3.
TIMED_OUT = 569
#: Results that say that the socket is closed. BC260Y-CN TCP/IP guide 1.1 §3.
CLOSED_RESULTS = frozenset({567})
#: How models that count only after a send answer before it: 572, where errors have numbers at all.
NOTHING_SENT_RESULTS = frozenset({None, 572})
#: Results that say "not now": blocked, an id that is still in use, busy. The same.
PASSING_RESULTS = frozenset({551, 563, 564, 568})


def read_account(result: FinalResult | None, is_tcp: bool) -> Acknowledgement | None:
    """The modem's count; None when it gave none, or one that contradicts itself."""
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
