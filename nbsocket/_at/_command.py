"""What a command is, what commands give back, and the general one: the raw escape hatch.

A command states what may come in answer to it (prefixes, prompt, outcome), so that the chat need not guess from bytes.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from nbsocket._at._syntax import RemoteProtocolError, check_range, split_fields
from nbsocket._dataclass import dataclass

__all__ = [
    "MAX_COMMAND_SIZE",
    "REGISTRATION_ANSWER_RE",
    "Acknowledgement",
    "Command",
    "DataFormat",
    "DnsConfig",
    "InfoResponse",
    "PdpAddress",
    "PdpContext",
    "Raw",
    "RegistrationStatus",
    "SignalQuality",
    "SocketStatus",
    "last_fields",
]


@dataclass(frozen=True, slots=True)
class DataFormat:
    """Formats of payloads on the serial line. BC260Y-CN TCP/IP guide 1.1 §2.3.1."""

    #: AT+QISEND in command mode takes hex digits.
    send_hex: bool
    #: The recv URC carries hex digits.
    receive_hex: bool


@dataclass(frozen=True, slots=True)
class SocketStatus:
    """One line of AT+QISTATE. BC260Y-CN TCP/IP guide 1.1 §2.3.4.

    Only the id is certain: the other fields are as below where firmware leaves them out, or has them in another form.
    """

    socket_id: int
    #: "TCP" or "UDP"; "" when not told.
    service: str
    host: str
    remote_port: int
    #: 0 when the modem chose it.
    local_port: int
    #: 0 initial, 1 connecting, 2 connected, 3 closing, 4 remote closing; -1 when not told.
    state: int
    context_id: int
    access_mode: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Totals in bytes since the connection was opened. BC260Y-CN TCP/IP guide 1.1 §2.3.5."""

    sent: int
    acked: int
    #: For TCP sent = acked + unacked; both mean nothing for UDP.
    unacked: int


class DnsConfig(NamedTuple):
    """Addresses of the DNS servers, "" where there is none. BC260Y-CN TCP/IP guide 1.1 §2.3.7."""

    primary_ipv4: str = ""
    secondary_ipv4: str = ""
    primary_ipv6: str = ""
    secondary_ipv6: str = ""


@dataclass(frozen=True, slots=True)
class SignalQuality:
    """Answer of AT+CSQ. TS 27.007 §8.5."""

    #: 0-31, 99 when unknown.
    rssi: int
    #: 0-7, 99 when unknown.
    ber: int

    @property
    def dbm(self) -> int | None:
        """Signal strength in dBm, None when unknown."""
        return 2 * self.rssi - 113 if self.rssi <= 31 else None


@dataclass(frozen=True, slots=True)
class RegistrationStatus:
    """Answer of AT+CEREG?. TS 27.007 §10.1.22."""

    #: Which registration URCs are on: 0 none.
    n: int
    #: 0 idle, 1 registered, 2 searching, 3 denied, 4 unknown, 5 registered while roaming.
    stat: int
    #: 0: ``reject_cause`` is an EMM cause (TS 24.301 §9.9.3.9), 1: the maker's own; None: not told.
    cause_type: int | None = None
    #: Why the network refused, None: not told.
    reject_cause: int | None = None


@dataclass(frozen=True, slots=True)
class PdpAddress:
    """One line of AT+CGPADDR: the modem's own address."""

    cid: int
    #: None while there is none.
    address: str | None


@dataclass(frozen=True, slots=True)
class PdpContext:
    """One line of AT+CGDCONT?."""

    cid: int
    #: "IP", "IPV6", "IPV4V6", ...
    kind: str
    apn: str


T = TypeVar("T")

#: Longest command line in bytes. Ours end at AT+QISEND with 1024 hex digits (1044 bytes); the rest is room for Raw.
MAX_COMMAND_SIZE = 2048

#: Seconds until the final result of every command is due. BC260Y-CN TCP/IP guide 1.1 §2.3, each table.
RESPONSE_TIMEOUT = 5.0

# Names whose lines are outcomes, not information responses, except after their test form.
_OUTCOME_NAMES = frozenset({"+QIOPEN", "+QIDNSGIP", "+QPING", "+QNTP", "+QNTTP", "+QNTPT"})

# +CEREG: <n>,<stat>[,...] answers AT+CEREG?; the URC +CEREG: <stat>[,"<tac>",...] has no <n>, and what follows its
# <stat> is no short number. TS 27.007 §10.1.22.
REGISTRATION_ANSWER_RE = re.compile(r"\d{1,2} *, *\d{1,2} *(?:,|$)", re.ASCII)

# Of commands of the user's: compiled by re when the first one comes, not at the start of each program.
_RAW_PATTERN = r"[Aa][Tt][ -~]*"
_RAW_NAME_PATTERN = r"(?:^AT|;)\s*(\+[A-Z][A-Z0-9]*)\s*(\?|=\?)?"
_RAW_IDENTITY_PATTERN = r"ATI\d?\s*"
# +XYZ: 1 or ^MODE: 17,17: what names another command than the pending one is a report, and no part of its answer.
_REPORT_RE = re.compile(r"[+^*$%#][A-Z][A-Z0-9]* *:", re.IGNORECASE)
_RAW_DATA_MODE_PATTERN = r"\+QISEND\s*=\s*\d+\s*(?:,\s*0*[1-9]\d*\s*)?(?:;|$)"
_RAW_SEND_PATTERN = r"\+QISEND\s*=\s*\d+\s*,\s*\d+\s*,"
# The data modes of AT+QISEND, §2.3.5: open length, or as many bytes as announced.
_RAW_PAYLOAD_PATTERN = r"AT\+QISEND\s*=\s*\d+\s*(?:,\s*0*([1-9]\d*)\s*)?"
_CTRL_Z, _ESC = b"\x1a", b"\x1b"
_MAX_RAW_PAYLOAD_SIZE = 1024
#: Bytes a second at 2400 baud.
SLOWEST_RATE = 240


@dataclass(frozen=True, slots=True)
class InfoResponse:
    """One information line of a command's answer, such as ``+CSQ: 20,99``."""

    #: "+CSQ"; "" for a line without a prefix.
    prefix: str
    #: What follows the colon and the blanks after it; without a prefix the whole line.
    text: str

    @property
    def line(self) -> str:
        """The line as it came, but with exactly one blank after the colon."""
        return f"{self.prefix}: {self.text}" if self.prefix else self.text

    def fields(self) -> list[str | None]:
        """Split the parameters at their commas; quotes are taken off, and an omitted parameter is None."""
        return split_fields(self.text)


class Command(Generic[T]):
    """One AT command; the type argument is what :meth:`parse` gives.

    Subclasses are frozen dataclasses that raise ValueError for fields outside the manual's ranges when they are made,
    before anything is encoded.
    """

    __slots__ = ()

    _prefixes: ClassVar[tuple[str, ...]] = ()
    #: Lines of no known kind that come while it is pending are its information responses; see :meth:`takes_line`.
    takes_any_line: ClassVar[bool] = False
    #: SEND FAIL in place of the prompt is its answer, without an OK before it.
    fails_early: bool = False
    #: An OK without an information response cannot be its answer.
    needs_info: ClassVar[bool] = False

    #: The command line, formatted with the command as ``{0}``; a command whose line needs more overrides :attr:`line`.
    TEMPLATE: ClassVar[str] = ""
    #: Seconds within which the final result is due; longer where the manual or its siblings' say so.
    TIMEOUT: ClassVar[float] = RESPONSE_TIMEOUT
    #: Fields that are numbers, with their least and greatest value: checked when the command is made.
    RANGES: ClassVar[tuple[tuple[str, int, int], ...]] = ()

    def __post_init__(self) -> None:
        for name, least, most in self.RANGES:
            check_range(name, getattr(self, name), least, most)

    @property
    def line(self) -> str:
        """The command line, without the CR."""
        return self.TEMPLATE.format(self)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Prefixes of its information responses, such as ``+CSQ``."""
        return self._prefixes

    @property
    def timeout(self) -> float:
        """Seconds within which the final result is due."""
        return self.TIMEOUT

    @property
    def payload(self) -> bytes | None:
        """What goes out after the modem's prompt; None for a command without one."""
        return None

    @property
    def awaits_outcome(self) -> bool:
        """SEND OK or SEND FAIL ends it, not OK."""
        return False

    def encode(self) -> bytes:
        """Give the line in ASCII with its CR."""
        return self.line.encode("ascii") + b"\r"

    def claims(self, response: InfoResponse) -> bool:
        """Whether a line with one of its prefixes is its answer; False: it is a URC that happens to look alike."""
        return response.prefix != "+CEREG" or REGISTRATION_ANSWER_RE.match(response.text) is not None

    def takes_line(self, line: str) -> bool:
        """Whether a line of no known kind, without one of its prefixes, may be part of its answer."""
        return self.takes_any_line and _REPORT_RE.match(line) is None

    @property
    def begins_with_prefix(self) -> bool:
        """Its answer has either no prefix at all, or begins with one: what came before that is not part of it."""
        return True

    @abstractmethod
    def parse(self, responses: Sequence[InfoResponse]) -> T:
        """Read the information responses of a successful answer.

        Raises:
            RemoteProtocolError: they do not have the form that the manual gives them.
        """


class PlainCommand(Command[None]):
    """A command whose answer is OK alone."""

    __slots__ = ()

    def parse(self, responses: Sequence[InfoResponse]) -> None:
        """Nothing is in the answer."""


def last_fields(command: Command[T], responses: Sequence[InfoResponse]) -> list[str | None]:
    """The fields of the response nearest to the OK: an earlier one may be a late answer to a command given up."""
    if not responses:
        raise RemoteProtocolError(f"no information in the answer to {command.line}")
    return responses[-1].fields()


@dataclass(frozen=True, slots=True)
class Raw(Command[list[str]]):
    """A command line of the user's own; gives the information lines.

    Outcomes that come after the OK are events of their own, as with the typed commands.
    """

    text: str
    #: What the modem waits for after AT+QISEND in a data mode. Open length: up to 1023 bytes without Ctrl-Z and Esc,
    #: 1024 that go out by themselves, or Esc alone, which cancels. §2.3.5.
    data: bytes | None = None
    takes_any_line: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if re.fullmatch(_RAW_PATTERN, self.text) is None:
            raise ValueError(f'a command starts with "AT" and holds printable ASCII only, not {self.text!r}')
        if len(self.text) > MAX_COMMAND_SIZE:
            raise ValueError(f"a command has at most {MAX_COMMAND_SIZE} bytes, not {len(self.text)}")
        if self.data is not None:
            self._check_data(self.data)
        elif re.search(_RAW_DATA_MODE_PATTERN, self.text.upper()):
            raise ValueError(f"{self.text} waits for payload, and none was given")

    def _check_data(self, data: bytes) -> None:
        match = re.fullmatch(_RAW_PAYLOAD_PATTERN, self.text.upper())
        if match is None:
            raise ValueError(f"{self.text} takes no payload")
        if match[1] is not None and len(data) != int(match[1]):
            raise ValueError(f"{self.text} takes exactly {match[1]} bytes of payload, not {len(data)}")
        if not 1 <= len(data) <= _MAX_RAW_PAYLOAD_SIZE:
            raise ValueError(f"the payload must have 1 to {_MAX_RAW_PAYLOAD_SIZE} bytes, not {len(data)}")
        if match[1] is None and data != _ESC and (_CTRL_Z in data or _ESC in data):
            raise ValueError("this form of AT+QISEND cannot carry the bytes 0x1A and 0x1B")

    @property
    def line(self) -> str:
        return self.text

    @property
    def prefixes(self) -> tuple[str, ...]:
        named = re.findall(_RAW_NAME_PATTERN, self.text.upper())
        return tuple(name for name, asks in named if asks or name not in _OUTCOME_NAMES)

    def takes_line(self, line: str) -> bool:
        text = self.text.upper()
        is_named = (
            re.search(_RAW_NAME_PATTERN, text) is not None or re.fullmatch(_RAW_IDENTITY_PATTERN, text) is not None
        )
        return not is_named or _REPORT_RE.match(line) is None

    @property
    def begins_with_prefix(self) -> bool:
        return ";" not in self.text  # of AT+CGMR;+CSQ the first has none

    @property
    def payload(self) -> bytes | None:
        is_whole = self.data is None or self.data == _ESC or len(self.data) == _MAX_RAW_PAYLOAD_SIZE
        return self.data if is_whole or "," in self.text else (self.data or b"") + _CTRL_Z

    @property
    def timeout(self) -> float:
        return RESPONSE_TIMEOUT + len(self.data or b"") / SLOWEST_RATE

    @property
    def awaits_outcome(self) -> bool:
        return self.data is not None or re.search(_RAW_SEND_PATTERN, self.text.upper()) is not None

    def parse(self, responses: Sequence[InfoResponse]) -> list[str]:
        """Give the information lines as they are."""
        return [response.line for response in responses]
