"""What went wrong, whom it may touch, and for how long: only that excuses what an application is told.

A cause touches one connection where only its own commands or its own data were hurt, and all of them where bytes of
the line were lost in a way that could have hit any. Either way its effects end: what it broke is found out and put
right within ``LASTING`` seconds, or ``OPENING_LASTING`` where an opening is concerned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbsocket.sim import Fault

if TYPE_CHECKING:
    from tests.simulation.connections import Connection

#: Seconds for which a cause may be felt: the longest answer, its postponement while the module talks, and getting back
#: in step by all means; and the same for an opening, whose outcome may be 65 s late.
LASTING = 45.0
OPENING_LASTING = 75.0

#: Commands of one connection.
OWNED_RE = re.compile(r"AT\+(?:QISEND(?:EX)?|QICLOSE)=(\d)|AT\+QISTATE=1,(\d)|AT\+QIOPEN=[01],(\d)")
#: Commands whose wrong or missing answer is no connection's business.
HARMLESS_RE = re.compile(r"AT\+(QIDNSGIP|QPING|QNTP|CSQ|CGMR|CCLK|CGSN|CEREG|CGPADDR|QISTATE\?|IPR)|ATI")

_RECV_RE = re.compile(rb'\+QIURC: ?"recv",(\d),\d+,"?[0-9A-Fa-f]*')
_DIGITS_RE = re.compile(rb"[0-9A-Fa-f]+")


@dataclass(frozen=True)
class Cause:
    """Something that went wrong."""

    at: float
    text: str
    #: The connection that it touches, None: any.
    owner: Connection | None = None


class Causes:
    """All causes of a run."""

    def __init__(self) -> None:
        self._causes: list[Cause] = []

    def __bool__(self) -> bool:
        return bool(self._causes)

    def add(self, at: float, text: str, owner: Connection | None = None) -> None:
        """Note that something goes wrong."""
        self._causes.append(Cause(at, text, owner))

    def excuse(self, link: Connection, now: float, lasting: float = LASTING) -> bool:
        """Whether something that may be felt now touches the connection."""
        return any(now <= cause.at + lasting and cause.owner in (None, link) for cause in self._causes)

    def has(self, pattern: str, now: float, lasting: float = LASTING) -> bool:
        """Whether a cause whose text matches may be felt now, whomever it touches."""
        return any(now <= cause.at + lasting and re.search(pattern, cause.text) for cause in self._causes)

    def has_come(self, pattern: str, begin: float, end: float) -> bool:
        """Whether a cause whose text matches came in this time, whomever it touches."""
        return any(begin <= cause.at <= end and re.search(pattern, cause.text) for cause in self._causes)


def contained_socket(fault: Fault, line: bytes, data: bytes, changed: bytes) -> int | None:
    """Whose received data a byte fault has hurt, when it is certain that it has hurt nothing else.

    Args:
        fault: it lost or garbled bytes.
        line: what the module said before, from the beginning of the present line.
        data: the bytes that the fault has met.
        changed: what it made of them.
    """
    if fault.action == "insert":
        return None  # what is too long may have swallowed another report
    pairs = enumerate(zip(data, changed, strict=False))
    start = next((index for index, (old, new) in pairs if old != new), len(changed))
    size = len(data) - len(changed) if fault.action == "drop" else fault.size
    match = _RECV_RE.fullmatch((line + data[:start]).rpartition(b"\n")[2])
    if match is None or _DIGITS_RE.fullmatch(data[start : start + size]) is None:
        return None
    return int(match[1])
