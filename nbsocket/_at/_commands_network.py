"""The commands of the BC260Y-CN TCP/IP guide 1.1 §2.3, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from nbsocket._at._command import (
    SLOWEST_RATE,
    Acknowledgement,
    Command,
    DataFormat,
    DnsConfig,
    InfoResponse,
    PlainCommand,
    SocketStatus,
    last_fields,
)
from nbsocket._at._syntax import RemoteProtocolError, check_range, check_ranges, quote, read_int
from nbsocket._dataclass import dataclass
from nbsocket._parameter import check_host

__all__ = [
    "MAX_DATA_SEND_SIZE",
    "MAX_HEX_SEND_SIZE",
    "MAX_SOCKET_ID",
    "QICFG",
    "QICLOSE",
    "QIDNSCFG",
    "QIDNSGIP",
    "QIGETERROR",
    "QIOPEN",
    "QISTATE",
    "QNTP",
    "QPING",
    "QICFGRead",
    "QICFGView",
    "QICFGViewRead",
    "QIDNSCFGRead",
    "QISENDData",
    "QISENDHex",
    "QISENDQuery",
    "QISTATEContext",
    "QISTATERead",
]

#: <connectID> is 0 to 4. §2.3.2.
MAX_SOCKET_ID = 4

#: <send_length> of one AT+QISEND in bytes, as hex digits and as raw bytes. §2.3.5.
MAX_HEX_SEND_SIZE = 512
MAX_DATA_SEND_SIZE = 1024

#: Longest <pridnsaddr> and <secdnsaddr>. §2.3.7.
MAX_DNS_ADDRESS_SIZE = 64


# Seconds that an answer to a data-mode send may be late: without one its connection is lost, for what wakes the modem
# may become payload.
_DATA_MODE_MARGIN = 0.5

#: <contextID> is 0 to 11, of which the siblings use 0 or 1. §2.3.2.
MAX_CONTEXT_ID = 11

#: The five sockets. §2.3.2.
SOCKET_ID_RANGE = ("socket_id", 0, 4)


@dataclass(frozen=True, slots=True)
class QICFG(PlainCommand):
    """Set the payload formats; at once, and stored in NVRAM. §2.3.1."""

    send_hex: bool
    receive_hex: bool

    @property
    def line(self) -> str:
        return f'AT+QICFG="dataformat",{int(self.send_hex)},{int(self.receive_hex)}'


@dataclass(frozen=True, slots=True)
class QICFGRead(Command[DataFormat]):
    """The payload formats. §2.3.1."""

    TEMPLATE = 'AT+QICFG="dataformat"'
    _prefixes: ClassVar[tuple[str, ...]] = ("+QICFG",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> DataFormat:
        """Give both formats."""
        fields = last_fields(self, responses)
        formats = read_int(fields, 1), read_int(fields, 2)
        if fields[0] != "dataformat" or max(formats) > 1:
            raise RemoteProtocolError(f"not a data format: {responses[-1].line}")
        return DataFormat(send_hex=formats[0] == 1, receive_hex=formats[1] == 1)


@dataclass(frozen=True, slots=True)
class QICFGView(PlainCommand):
    """Set how received data is shown, on siblings: ``"viewmode"`` or ``"showlength"``. Stored; not in the guide."""

    TEMPLATE = 'AT+QICFG="{0.setting}",{0.value}'

    setting: str
    value: int

    def __post_init__(self) -> None:
        _check_view(self.setting)
        check_range("value", self.value, 0, 1)


@dataclass(frozen=True, slots=True)
class QICFGViewRead(Command[int]):
    """How received data is shown, on siblings: ``+QICFG: "viewmode",0``."""

    TEMPLATE = 'AT+QICFG="{0.setting}"'
    _prefixes: ClassVar[tuple[str, ...]] = ("+QICFG",)
    needs_info: ClassVar[bool] = True

    setting: str

    def __post_init__(self) -> None:
        _check_view(self.setting)

    def parse(self, responses: Sequence[InfoResponse]) -> int:
        """Give the value."""
        fields = last_fields(self, responses)
        if fields[0] != self.setting:
            raise RemoteProtocolError(f"not the setting {self.setting}: {responses[-1].line}")
        return read_int(fields, 1)


def _check_view(setting: str) -> None:
    if setting not in ("viewmode", "showlength"):
        raise ValueError(f"setting must be viewmode or showlength, not {setting!r}")


@dataclass(frozen=True, slots=True)
class QIOPEN(PlainCommand):
    """Open a connection; OK, then the event OpenResult within 60 s. §2.3.2."""

    socket_id: int
    #: "TCP" or "UDP".
    service: str
    #: Name or address.
    host: str
    remote_port: int
    #: 0: the modem chooses. Any other stays busy for 70 s after the close.
    local_port: int = 0
    #: 0 here; 1 on the BC66 and its relatives.
    context_id: int = 0
    #: Whether <access_mode> 1 (direct push) is always stated: siblings that leave it out may buffer what they receive.
    states_access_mode: bool = False

    def __post_init__(self) -> None:
        if self.service not in ("TCP", "UDP"):
            raise ValueError(f"service must be TCP or UDP, not {self.service!r}")
        check_host(self.host)
        check_ranges(
            ("socket_id", self.socket_id, 0, MAX_SOCKET_ID),
            ("remote_port", self.remote_port, 1, 65535),
            ("local_port", self.local_port, 0, 65535),
            ("context_id", self.context_id, 0, MAX_CONTEXT_ID),
        )

    @property
    def line(self) -> str:
        place = f"{self.context_id},{self.socket_id}"
        shortest = f'AT+QIOPEN={place},"{self.service}",{quote(self.host)},{self.remote_port}'
        return f"{shortest},{self.local_port},1" if self.local_port or self.states_access_mode else shortest


@dataclass(frozen=True, slots=True)
class QICLOSE(PlainCommand):
    """Close a connection; OK, then the event CloseOk 50 ms to 2 s later. §2.3.3."""

    TEMPLATE = "AT+QICLOSE={0.socket_id}"
    RANGES = (SOCKET_ID_RANGE,)

    socket_id: int


@dataclass(frozen=True, slots=True)
class _StateQuery(Command[list[SocketStatus]]):
    _prefixes: ClassVar[tuple[str, ...]] = ("+QISTATE",)

    def parse(self, responses: Sequence[InfoResponse]) -> list[SocketStatus]:
        """Give one value a socket; none when no connection exists."""
        return [_read_status(response.fields()) for response in responses]


#: What stands for the fields of a row of +QISTATE that are not told, those after the id.
_NOT_TOLD = (0, 0, -1, 0, 1)


def _read_status(fields: list[str | None]) -> SocketStatus:
    """Read a row. Which socket it is must be certain; the rest may be garbled, left out, or in another form."""
    socket_id = read_int(fields, 0)
    if socket_id > MAX_SOCKET_ID:
        raise RemoteProtocolError(f"no socket of the module has the number {socket_id}")
    service, host = ((fields[index] or "") if index < len(fields) else "" for index in (1, 2))
    numbers = (_number_or(fields, index, default) for index, default in enumerate(_NOT_TOLD, 3))
    return SocketStatus(socket_id, service, host, *numbers)


def _number_or(fields: list[str | None], index: int, default: int) -> int:
    try:
        return read_int(fields, index)
    except RemoteProtocolError:
        return default


@dataclass(frozen=True, slots=True)
class QISTATERead(_StateQuery):
    """The state of every connection. §2.3.4."""

    TEMPLATE = "AT+QISTATE?"


@dataclass(frozen=True, slots=True)
class QISTATEContext(_StateQuery):
    """The state of every connection of one context. §2.3.4."""

    TEMPLATE = "AT+QISTATE=0,{0.context_id}"
    RANGES = (("context_id", 0, 0),)

    context_id: int = 0


@dataclass(frozen=True, slots=True)
class QISTATE(_StateQuery):
    """The state of one connection. §2.3.4."""

    TEMPLATE = "AT+QISTATE=1,{0.socket_id}"
    RANGES = (SOCKET_ID_RANGE,)

    socket_id: int


@dataclass(frozen=True, slots=True)
class QISENDHex(PlainCommand):
    """Send as hex digits in the command line: 8-bit clean, and the only form that carries RAI. §2.3.5."""

    socket_id: int
    #: 1 to 512 bytes; <send_length> 0 would be the query.
    data: bytes
    #: 0 none, 1 nothing follows either way, 2 one answer is expected and nothing after it.
    rai: int = 0
    #: AT+QISENDEX with bare digits: the hex form of the BC66 and its relatives.
    is_extended: bool = False

    def __post_init__(self) -> None:
        check_ranges(
            ("socket_id", self.socket_id, 0, MAX_SOCKET_ID),
            ("size of data", len(self.data), 1, MAX_HEX_SEND_SIZE),
            ("rai", self.rai, 0, 2),
        )

    @property
    def line(self) -> str:
        digits = self.data.hex().upper()
        if self.is_extended:
            shortest = f"AT+QISENDEX={self.socket_id},{len(self.data)},{digits}"
        else:
            shortest = f'AT+QISEND={self.socket_id},{len(self.data)},"{digits}"'
        return f"{shortest},{self.rai}" if self.rai else shortest

    @property
    def timeout(self) -> float:
        return 5.0 + 2 * len(self.data) / SLOWEST_RATE

    @property
    def awaits_outcome(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _DataModeSend(PlainCommand):
    socket_id: int
    data: bytes

    @property
    def timeout(self) -> float:
        return 5.0 + _DATA_MODE_MARGIN + len(self.data) / SLOWEST_RATE

    @property
    def awaits_outcome(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class QISENDData(_DataModeSend):
    """Send raw bytes, as many as announced: 8-bit clean. §2.3.5, data mode, fixed length."""

    #: No outcome of an earlier send can still come: SEND FAIL in place of the prompt is this one's.
    fails_early: bool = False

    def __post_init__(self) -> None:
        check_ranges(
            ("socket_id", self.socket_id, 0, MAX_SOCKET_ID),
            ("size of data", len(self.data), 1, MAX_DATA_SEND_SIZE),
        )

    @property
    def line(self) -> str:
        return f"AT+QISEND={self.socket_id},{len(self.data)}"

    @property
    def payload(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class QISENDQuery(Command[Acknowledgement]):
    """How much was sent and acknowledged. §2.3.5."""

    TEMPLATE = "AT+QISEND={0.socket_id},0"
    RANGES = (SOCKET_ID_RANGE,)

    socket_id: int
    _prefixes: ClassVar[tuple[str, ...]] = ("+QISEND",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> Acknowledgement:
        """Give the totals. They name no socket: the caller checks them against what it sent."""
        fields = last_fields(self, responses)
        return Acknowledgement(read_int(fields, 0), read_int(fields, 1), read_int(fields, 2))


@dataclass(frozen=True, slots=True)
class QIGETERROR(Command["int | None"]):
    """What the last ERROR of a TCP/IP command was for. Not in the guide; firmware of siblings that does without
    numbers in its errors has it, as ``+QIGETERROR: 563,"Socket identity has been used"``."""

    TEMPLATE = "AT+QIGETERROR"
    _prefixes: ClassVar[tuple[str, ...]] = ("+QIGETERROR",)

    def parse(self, responses: Sequence[InfoResponse]) -> int | None:
        """Give the result code of §3, 0 when there was no error; None where none is told."""
        return read_int(last_fields(self, responses), 0) if responses else None


@dataclass(frozen=True, slots=True)
class QIDNSGIP(PlainCommand):
    """Resolve a name; OK, then the events DnsResult and DnsAddress. §2.3.6."""

    name: str
    context_id: int = 0

    def __post_init__(self) -> None:
        check_host(self.name, "name")
        check_range("context_id", self.context_id, 0, MAX_CONTEXT_ID)

    @property
    def line(self) -> str:
        return f"AT+QIDNSGIP={self.context_id},{quote(self.name)}"


@dataclass(frozen=True, slots=True)
class QIDNSCFG(PlainCommand):
    """Set the DNS servers; only after the URC +IP. §2.3.7."""

    primary: str
    secondary: str | None = None
    context_id: int = 0

    def __post_init__(self) -> None:
        check_range("context_id", self.context_id, 0, MAX_CONTEXT_ID)
        for name, address in (("primary", self.primary), ("secondary", self.secondary)):
            if address is not None:
                check_host(address, name, MAX_DNS_ADDRESS_SIZE)

    @property
    def line(self) -> str:
        secondary = "" if self.secondary is None else f",{quote(self.secondary, MAX_DNS_ADDRESS_SIZE)}"
        return f"AT+QIDNSCFG={self.context_id},{quote(self.primary, MAX_DNS_ADDRESS_SIZE)}{secondary}"


@dataclass(frozen=True, slots=True)
class QIDNSCFGRead(Command[DnsConfig]):
    """The DNS servers. §2.3.7."""

    TEMPLATE = "AT+QIDNSCFG={0.context_id}"
    RANGES = (("context_id", 0, MAX_CONTEXT_ID),)

    context_id: int = 0
    _prefixes: ClassVar[tuple[str, ...]] = ("+QIDNSCFG",)

    def parse(self, responses: Sequence[InfoResponse]) -> DnsConfig:
        """Give the four addresses; the modem may leave out the whole line, or addresses at its end."""
        if not responses:
            return DnsConfig()
        fields = last_fields(self, responses)
        read_int(fields, 0)
        addresses = [field or "" for field in fields[1:5]]
        return DnsConfig(*addresses)


@dataclass(frozen=True, slots=True)
class QPING(PlainCommand):
    """Ping a host; OK, then one event PingLine a ping and PingSummary. §2.3.8.

    Parameters that are None are left to the modem, unless a later one is given: then the manual's default is sent.
    """

    host: str
    #: Seconds to wait for each reply, 1 to 255.
    reply_timeout: int | None = None
    #: How many pings, 1 to 10.
    count: int | None = None
    #: Bytes, 32 to 1500; at most 200 before firmware BC260YCNAAR01A03.
    size: int | None = None
    #: 1: the last ping carries RAI 2.
    rai: int | None = None
    context_id: int = 0

    def __post_init__(self) -> None:
        check_host(self.host)
        check_range("context_id", self.context_id, 0, MAX_CONTEXT_ID)
        limits = {"reply_timeout": (1, 255), "count": (1, 10), "size": (32, 1500), "rai": (0, 1)}
        for name, (lowest, highest) in limits.items():
            value = getattr(self, name)
            if value is not None:
                check_range(name, value, lowest, highest)

    @property
    def line(self) -> str:
        given = (self.reply_timeout, self.count, self.size, self.rai or None)
        parameters = [default if value is None else value for value, default in zip(given, (4, 4, 32, 0), strict=True)]
        used = max((index + 1 for index, value in enumerate(given) if value is not None), default=0)
        return ",".join([f"AT+QPING={self.context_id},{quote(self.host)}", *map(str, parameters[:used])])


@dataclass(frozen=True, slots=True)
class QNTP(PlainCommand):
    """Ask a time server; OK, then the event NtpResult. §2.3.9."""

    server: str
    #: None: left to the modem, which takes 123.
    port: int | None = None
    #: Set the modem's clock too; None: left to the modem.
    set_clock: bool | None = None
    #: The manual's heading says QNTPT, its example QNTP.
    spelling: str = "QNTP"
    context_id: int = 0

    def __post_init__(self) -> None:
        check_host(self.server, "server")
        check_range("context_id", self.context_id, 0, MAX_CONTEXT_ID)
        if self.port is not None:
            check_range("port", self.port, 1, 65535)
        if self.spelling not in ("QNTP", "QNTPT", "QNTTP"):
            raise ValueError(f"spelling must be QNTP, QNTPT or QNTTP, not {self.spelling!r}")

    @property
    def line(self) -> str:
        line = f"AT+{self.spelling}={self.context_id},{quote(self.server)}"
        if self.set_clock is not None:
            return f"{line},{self.port or 123},{int(self.set_clock)}"
        return f"{line},{self.port}" if self.port is not None else line
