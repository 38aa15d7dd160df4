"""Does a line that nobody knows look like what is left of a recv URC?

If it does, payload bytes may be lost, and the streams can no longer be trusted; if not, it is only a curiosity.
"""

from __future__ import annotations

import re
from typing import TypeVar

from nbsocket._at._events import Damaged, Received, UnknownLine
from nbsocket._at._framing import MAX_PAYLOAD_SIZE, Framer

__all__ = [
    "DamageWatch",
    "has_run_into_urc",
    "has_tail_of_hex",
    "has_tail_of_payload",
    "is_damaged",
    "is_damaged_urc",
    "is_foreign_to_hex",
]

_RECV_HEADER = '+QIURC: "recv",'

# Two wrong bytes of the type in a +QIURC line.
_MAX_TYPE_DISTANCE = 2

# Letters of a type that means something else, such as "pdpdeact"; fewer may be what is left of recv.
_SHORTEST_TYPE = 5

# Of the 15 bytes of the header. The nearest line that means something else, such as +QIND: "abc",1, is 6 away.
_MAX_HEADER_DISTANCE = 4

# The same without the characters that are hex digits, up to the payload's closing quote.
_HEADER_MARKS = '+QIUR: "rv",,,""'

# Characters that are in no recv URC in hex.
_FOREIGN_RE = re.compile(r'[!-~](?<![+QIURC:"recv,0-9A-Fa-f])')
# One garbled byte may make one of them, in a line that is otherwise whole: the shortest recv URC in hex has 23 bytes.
_LENGTH_PER_FOREIGN = 16
# Garbled bytes up to which the rest of a line tells what it was; more are a burst, in which anything may be lost.
_MOST_GARBLED = 2
# Noise between two lines.
_LONGEST_NOISE = 8

# Lines that a recv URC may have run into: the beginning of what is left is theirs then.
_RESULT_RE = re.compile(r"(?:SEND OK|CLOSE OK|SEND FAIL|OK|ERROR)")

_PRINTABLE_RE = re.compile(r"[ -~]*")
_UNPRINTABLE_RE = re.compile(r"[^ -~]")
_PIECE_RE = re.compile(r'QIURC|"recv|recv"')
# How recv URCs begin, and no other line of the modem.
_START = "+QIU"
_HEADER_END_RE = re.compile(r'"recv", *[0-9]')
# What follows the type in a recv URC in hex, to its end.
_FIELDS_RE = re.compile(r'", *[0-9] *, *\d+ *, *"?(?:[0-9A-Fa-f]{2})+"?$')
_DIGITS_RE = re.compile(r"[0-9A-Fa-f]{4,}|.*[,\"](?:[0-9A-Fa-f]{2})+")
_HEX_TAIL_RE = re.compile(r'(.*?)(?:[0-9A-Fa-f]{2,}"?|[0-9A-Fa-f]")', re.DOTALL)
_HEX_DIGITS_RE = re.compile(r"[0-9A-Fa-f]+")
_RECEIVED_RE = re.compile(r', *\d+, *\d+, *"')
_OTHER_URC_RE = re.compile(r'\+QIURC: *"([a-z ]+)"((?:, *(?:\d+|"[ !#-~]*"))*)')


def is_damaged(line: str) -> bool:
    """Whether parts of a recv header, or bytes that no line of the modem has, are in the line."""
    if _PRINTABLE_RE.fullmatch(line) is None or _PIECE_RE.search(line) is not None:
        return True
    if _FIELDS_RE.search(line) is not None or line.startswith(_START):
        return True
    return distance(_RECV_HEADER, line[: len(_RECV_HEADER) + _MAX_HEADER_DISTANCE]) <= _MAX_HEADER_DISTANCE


def has_run_into_urc(line: str) -> bool:
    """Whether a URC that may be one with payload begins in the middle of the line."""
    return line.find("QIURC", 2) >= 0 or (_HEADER_END_RE.search(line) is not None and not line.startswith("+QIURC"))


def has_tail_of_payload(line: str) -> bool:
    """Whether the line could be the last part of a payload whose header is lost: closed by a quote, or by hex digits.

    No line of the modem ends with a quote, but those that begin with ``+NAME:``.
    """
    return line.endswith('"') or _DIGITS_RE.fullmatch(line) is not None


def has_tail_of_hex(line: str) -> bool:
    """The same where payload is known to come as hex digits: then what is left of it ends with such, and little else.

    The characters before them must be those of the header, some of them lost: ``^MODE: 17,17`` and ``NAME: "ab"`` have
    others, so they cannot have been received data. (A header with little garbled in it is known by :func:`is_damaged`.)
    """
    match = _HEX_TAIL_RE.fullmatch(line)
    if match is None or not has_tail_of_payload(line):
        return False
    marks = _HEX_DIGITS_RE.sub("", _RESULT_RE.sub("", match[1], count=1))
    rest = iter(_HEADER_MARKS)
    return all(mark in rest for mark in marks)  # in this order


def is_foreign_to_hex(line: str) -> bool:
    """Whether a URC, or a line with a garbled byte or two, cannot have been received data, which comes as hex digits.

    ``SEND O\\xcb`` has characters that no such line has, more than the garbling can have made; a few bytes without any
    character of one are noise between two lines. What ends with a quote may have received data at its end.
    """
    garbled = len(_UNPRINTABLE_RE.findall(line))
    if garbled == len(line) < _LONGEST_NOISE:
        return True
    if line.endswith('"') or not (line.startswith("+QIURC") or 0 < garbled <= _MOST_GARBLED):
        return False
    return len(_FOREIGN_RE.findall(line)) > len(line) // _LENGTH_PER_FOREIGN


def is_damaged_urc(line: str) -> bool:
    """Whether a line that begins with ``+QIURC:``, but is neither recv nor closed, could have been one of them."""
    match = _OTHER_URC_RE.fullmatch(line)
    if match is None or len(match[1]) < _SHORTEST_TYPE or _RECEIVED_RE.match(match[2]) is not None:
        return True
    return min(_whole_distance(kind, match[1]) for kind in ("recv", "closed")) <= _MAX_TYPE_DISTANCE


def distance(pattern: str, text: str) -> int:
    """How many edits make ``pattern`` the beginning of ``text``."""
    return min(_distances(pattern, text))


def _whole_distance(pattern: str, text: str) -> int:
    return _distances(pattern, text)[-1]


def _distances(pattern: str, text: str) -> list[int]:
    """Levenshtein's distances of ``pattern`` to every beginning of ``text``, the shortest first."""
    row = list(range(len(text) + 1))
    for count, expected in enumerate(pattern, 1):
        diagonal, row[0] = row[0], count
        for index, actual in enumerate(text, 1):
            best = min(row[index] + 1, row[index - 1] + 1, diagonal + (actual != expected))
            diagonal, row[index] = row[index], best
    return row


E = TypeVar("E")


class DamageWatch:
    """Distrusts what comes in the same breath as text whose frame is lost."""

    def __init__(self, framer: Framer) -> None:
        self._framer = framer
        #: Where such text ends at the latest, as an offset of the framer; 0 once the modem has paused.
        self.end = 0

    def checked(self, frame: Received | Damaged) -> Received | Damaged:
        """Distrust what looks like received data among text whose frame is lost: it may be part of it.

        A peer can write whatever it likes into its text, reports of other peers' data included.
        """
        if isinstance(frame, Damaged):
            return self.noted(frame)
        if self.end and self._framer.offset <= self.end:
            return Damaged("received data among damaged data", frame.socket_id, is_contained=True)
        return frame

    def noted(self, event: E) -> E:
        """Take note of damage that may have freed text of its frame."""
        if isinstance(event, Damaged) and not (event.is_contained or self._framer.receives_hex):
            self.end = self._framer.offset + MAX_PAYLOAD_SIZE
        return event

    def read_bare(self, line: str) -> Damaged | UnknownLine:
        """Tell what a line without a prefix is that nobody knows."""
        is_hex = self._framer.receives_hex is True
        if has_tail_of_hex(line) if is_hex else has_tail_of_payload(line):
            return Damaged(f"a line that may have been received data: {len(line)} characters")
        return UnknownLine(line)
