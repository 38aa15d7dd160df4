"""The module's reading of what the host types: command lines and their parameters.

Grammar (V.250 §5.2, BC260Y-CN TCP/IP guide 1.1 §2.1.2)::

    line       = ("AT" | "at") body CR
    body       = "" | basic | name "=?" | name "?" | name "=" parameters | name
    parameters = parameter *("," parameter)
    parameter  = number | DQUOTE text DQUOTE | bare text | nothing
"""

from __future__ import annotations

import re
from enum import Enum

from nbsocket._dataclass import dataclass

#: Longest command line kept: AT+QISEND with 1024 characters of text, all of them escaped, fits twice.
MAX_LINE_SIZE = 4096


class Form(Enum):
    """The four forms of a command."""

    TEST = "test"
    READ = "read"
    SET = "set"
    EXECUTE = "execute"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line taken apart; ``name`` is in capitals; only extended commands have a sign."""

    name: str
    form: Form
    tail: str


_EXTENDED_RE = re.compile(r"\s*([+&#^%*$][A-Za-z][A-Za-z0-9]*)\s*(=\s*\?\s*$|\?\s*$|=|$)", re.ASCII)
_PREFIX_RE = re.compile(r"(?:AT|at|At|aT)")


def parse_line(line: str) -> CommandLine | None:
    """Take a line apart; None when there is no AT in it. Whatever comes before AT is noise."""
    prefix = _PREFIX_RE.search(line)
    if prefix is None:
        return None
    body = line[prefix.end() :]
    match = _EXTENDED_RE.match(body)
    if match is None:
        return CommandLine(body.strip().upper(), Form.EXECUTE, "")
    name, mark = match.group(1).upper(), match.group(2).replace(" ", "")
    form = {"": Form.EXECUTE, "?": Form.READ, "=?": Form.TEST, "=": Form.SET}[mark]
    return CommandLine(name, form, body[match.end() :] if form is Form.SET else "")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as it was typed, without its quotes."""

    text: str
    is_quoted: bool


_PARAMETER_RE = re.compile(r'\s*(?:"([^"]*)"|([^",]*?))\s*(,|$)')


def split_parameters(tail: str) -> list[Parameter | None] | None:
    """Split at commas outside quotes; an omitted parameter is None. None: the quotes do not match."""
    parameters: list[Parameter | None] = []
    position = 0
    while True:
        match = _PARAMETER_RE.match(tail, position)
        if match is None:
            return None
        quoted, bare, end = match.groups()
        if quoted is not None:
            parameters.append(Parameter(quoted, True))
        else:
            parameters.append(Parameter(bare, False) if bare else None)
        if not end:
            return parameters
        position = match.end()


class LineBuffer:
    """Collects the characters of a command line, up to its CR.

    Bytes beyond MAX_LINE_SIZE are counted, not kept: such a line is an error once it ends.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self.is_too_long = False

    def add(self, piece: bytes) -> None:
        """Append characters before the CR."""
        room = MAX_LINE_SIZE - len(self._line)
        self.is_too_long = self.is_too_long or len(piece) > room
        self._line += piece[:room]

    def finish(self) -> tuple[str, bool]:
        """Return the line (8-bit characters kept one to one) and whether it was too long; begin the next one."""
        text = self._line.decode("latin-1").lstrip("\n\r\x00 ")
        was_too_long, self.is_too_long = self.is_too_long, False
        self._line.clear()
        return text, was_too_long
