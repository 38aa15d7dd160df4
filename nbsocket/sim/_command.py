"""What every command has in common: its line, its parameters, the error it may end with, and its entry in a table.

Grammar (V.250 §5.2, BC260Y-CN TCP/IP guide 1.1 §2.1.2)::

    line       = ("AT" | "at") body CR
    body       = "" | basic | name "=?" | name "?" | name "=" parameters | name
    parameters = parameter *("," parameter)
    parameter  = number | DQUOTE text DQUOTE | bare text | nothing

A handler gets the modem, the text after ``=`` and the time; it returns the information lines, or LATER when it says
OK itself, or raises ResultError. A table of commands is name -> form -> handler.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from nbsocket._dataclass import dataclass

if TYPE_CHECKING:
    from ._models import SimulatedModel
    from ._module import Module


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


_COMMAND_PARAMETER_RE = re.compile(r'\s*(?:"([^"]*)"|([^",]*?))\s*(,|$)')


def split_parameters(tail: str) -> list[Parameter | None] | None:
    """Split at commas outside quotes; an omitted parameter is None. None: the quotes do not match."""
    parameters: list[Parameter | None] = []
    position = 0
    while True:
        match = _COMMAND_PARAMETER_RE.match(tail, position)
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


# ---- results

#: What a set command gets whose parameters are not allowed: the general ones, and those of the TCP/IP guide.
GENERAL_ERROR, TCPIP_ERROR = 50, 552

#: Codes below 500 are of 3GPP TS 27.007 §9.2, the others are the result codes of BC260Y-CN TCP/IP guide 1.1 §3.
CME_TEXTS = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    14: "SIM busy",
    50: "incorrect parameters",
    100: "unknown",
    550: "Unknown error",
    551: "Operation blocked",
    552: "Invalid parameters",
    553: "Memory not enough",
    554: "Create socket failed",
    555: "Operation not supported",
    556: "Socket bind failed",
    557: "Socket listen failed",
    558: "Socket write failed",
    559: "Socket read failed",
    560: "Socket accept failed",
    561: "Open PDP context failed",
    562: "Close PDP context failed",
    563: "Socket identity has been used",
    564: "DNS busy",
    565: "DNS parse failed",
    566: "Socket connection failed",
    567: "Socket has been closed",
    568: "Operation busy",
    569: "Operation timeout",
    570: "PDP context broken down",
    571: "Cancel send",
    572: "Operation not allowed",
    573: "APN not configured",
    574: "Port busy",
}


class ResultError(Exception):
    """The command is answered with an error; ``code`` None is a bare ERROR whatever AT+CMEE says."""

    def __init__(self, code: int | None = GENERAL_ERROR) -> None:
        super().__init__(code)
        self.code = code


# ---- parameters


class Arguments:
    """The parameters of a set command; every reader raises ResultError with ``code`` for what is not allowed."""

    def __init__(self, tail: str, code: int) -> None:
        self.tail = tail
        self._code = code
        parameters = split_parameters(tail)
        if parameters is None:
            raise ResultError(code)
        self._parameters: list[Parameter | None] = parameters

    def __len__(self) -> int:
        return len(self._parameters)

    def fail(self) -> ResultError:
        """Return the error for parameters that are not allowed."""
        return ResultError(self._code)

    def expect(self, least: int, most: int) -> None:
        """Check how many parameters there are."""
        if not least <= len(self) <= most:
            raise self.fail()

    def _at(self, index: int) -> Parameter | None:
        return self._parameters[index] if index < len(self) else None

    def number(self, index: int, low: int, high: int, default: int | None = None) -> int:
        """Return an integer without quotes; ``default`` stands for an omitted one."""
        parameter = self._at(index)
        if parameter is None:
            if default is None:
                raise self.fail()
            return default
        is_number = parameter.text.isascii() and parameter.text.isdecimal() and len(parameter.text) <= 10
        if parameter.is_quoted or not is_number or not low <= int(parameter.text) <= high:
            raise self.fail()
        return int(parameter.text)

    def text(self, index: int, longest: int, default: str | None = None) -> str:
        """Return a text in quotes of 1 to ``longest`` characters."""
        parameter = self._at(index)
        if parameter is None:
            if default is None:
                raise self.fail()
            return default
        if not parameter.is_quoted or not 1 <= len(parameter.text) <= longest:
            raise self.fail()
        return parameter.text

    def context_id(self, index: int, model: SimulatedModel) -> int:
        """Return a contextID: of the numbers that the model takes only one works."""
        if self.number(index, *model.context_ids) != model.context_id:
            raise ResultError(555)
        return model.context_id


# ---- tables

CommandHandler = Callable[["Module", str, float], Sequence[str]]

#: Returned by a handler that says OK itself.
LATER: Sequence[str] = ("later",)

#: The commands of a modem: name -> form -> handler.
Commands = Mapping[str, Mapping[Form, CommandHandler]]


def by_model(write: Callable[[SimulatedModel], str]) -> CommandHandler:
    """Return a handler that says a line that depends on the model alone."""
    return lambda module, tail, now: [write(module.model)]


def constant(*lines: str) -> CommandHandler:
    """Return a handler that always says the same."""
    return lambda module, tail, now: lines
