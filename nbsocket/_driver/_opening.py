"""Openings whose outcome does not come, or is a refusal that may pass: what to make of it.

The module tells how AT+QIOPEN went in a line of its own within 60 s (BC260Y-CN TCP/IP guide 1.1 §2.3.2). The command
may be lost or ignored, and so may that line. AT+QISTATE is answered meanwhile, and tells: state 1 while connecting, 2
when connected. A refusal may be the network's last word (566, 565, 567, 569), or mean "not now".
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from nbsocket._at import FinalResult, SocketStatus
from nbsocket._driver._connection import Connection

__all__ = [
    "ABSENCES",
    "ABSENT_TIME",
    "CHECKED_TRIES",
    "CHECK_TIME",
    "FIRST_LOOK",
    "HINT_PAUSE",
    "NAMELESS_TIME",
    "NETWORK_RESULTS",
    "PASSING_RESULTS",
    "SETTLING_TIME",
    "STATE_PAUSE",
    "Finding",
    "finding_of",
    "retry_pause",
    "says_no_socket",
]

#: Results that say "not now": blocked, an id that is still in use, busy.
PASSING_RESULTS = frozenset({551, 563, 564, 568})
#: Results that say that there is no network: just after registration the module has no address yet.
NETWORK_RESULTS = frozenset({561, 570, 572})
#: The result that says that there is no such socket.
NO_SOCKET = 567
#: Seconds after the network came in which they mean "not now".
SETTLING_TIME = 30.0
#: Seconds for which an opening that is answered ERROR, without a number, is tried again.
NAMELESS_TIME = 30.0
#: Seconds until an opening is tried again; more than 1 s, for a command that follows the answer before it at once was
#: seen to be ignored.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
#: Seconds until the module is asked what has become of an opening; a connection takes up to 10 s from idle. Doubled.
FIRST_LOOK = 8.0
#: Seconds until it is asked again when it gave no answer that makes sense.
STATE_PAUSE = 2.0
#: The same when something came that may have been the outcome, hurt.
HINT_PAUSE = 0.5
#: Failed tries, the first being 0, after which it is asked whether the network is there.
CHECKED_TRIES = frozenset({0, 4})
#: Seconds that questions about the network take where it is there.
CHECK_TIME = 10.0
#: Answers in a row without the socket that are believed.
ABSENCES = 2
#: Seconds for which a module that said OK may have no such socket: it may look the name up first.
ABSENT_TIME = 20.0


class Finding(Enum):
    """What AT+QISTATE says of an opening."""

    #: The answer makes no sense.
    UNKNOWN = auto()
    ABSENT = auto()
    CONNECTING = auto()
    OPEN = auto()
    #: It was open, and the peer has closed it.
    CLOSED = auto()
    #: It failed, or is another socket.
    FAILED = auto()


#: By <socket_state>, -1 where it is not told. §2.3.4.
_FINDINGS = {-1: Finding.UNKNOWN, 1: Finding.CONNECTING, 2: Finding.OPEN, 4: Finding.CLOSED}


def says_no_socket(result: FinalResult | None) -> bool:
    """Whether AT+QISTATE was refused because there is no such socket, as some firmware does."""
    return result is not None and result.code == NO_SOCKET


def finding_of(link: Connection, rows: Sequence[SocketStatus] | None) -> Finding:
    """Find the connection among the rows."""
    if rows is None:
        return Finding.UNKNOWN
    row = next((row for row in rows if row.socket_id == link.socket_id), None)
    if row is None:
        return Finding.ABSENT
    if row.service not in ("", link.service) or row.remote_port not in (0, link.port):
        return Finding.FAILED
    return _FINDINGS.get(row.state, Finding.FAILED)


def retry_pause(tries: int) -> float:
    """Seconds until the next try, after so many."""
    return min(FIRST_PAUSE * 2.0 ** min(tries, 10), LONGEST_PAUSE)
