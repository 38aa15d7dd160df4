"""The modem's own commands: identity, radio, registration, sleep, clock, serial line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from nbsocket._at._command import (
    Command,
    InfoResponse,
    PdpAddress,
    PdpContext,
    PlainCommand,
    RegistrationStatus,
    SignalQuality,
    last_fields,
)
from nbsocket._at._syntax import (
    RemoteProtocolError,
    check_range,
    format_time,
    parse_time,
    quote,
    read_int,
    read_own_address,
    read_reject_cause,
    read_text,
)
from nbsocket._dataclass import dataclass
from nbsocket._parameter import check_parameter

__all__ = [
    "AT",
    "ATE0",
    "ATI",
    "ATQ0",
    "ATV1",
    "BAUDRATES",
    "CCLK",
    "CEREG",
    "CFUN",
    "CGDCONT",
    "CGMR",
    "CGPADDR",
    "CGSN",
    "CMEE",
    "CPSMS",
    "CSQ",
    "IPR",
    "QSCLK",
    "CCLKRead",
    "CEREGRead",
    "CFUNRead",
    "CGDCONTRead",
    "CMEERead",
    "CPINRead",
    "CPSMSRead",
    "IPRRead",
    "QSCLKRead",
]

#: What AT+IPR takes.
BAUDRATES = (2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200, 230400, 460800)

#: Longest access point name. TS 23.003 §9.1.
MAX_APN_SIZE = 100


@dataclass(frozen=True, slots=True)
class AT(PlainCommand):
    """Does nothing: is anyone there?"""

    TEMPLATE = "AT"


@dataclass(frozen=True, slots=True)
class ATE0(PlainCommand):
    """Turn the echo off; it is on again after every boot."""

    TEMPLATE = "ATE0"


@dataclass(frozen=True, slots=True)
class ATQ0(PlainCommand):
    """Give final results again, after ``ATQ1``. V.250 §6.2.5."""

    TEMPLATE = "ATQ0"


@dataclass(frozen=True, slots=True)
class ATV1(PlainCommand):
    """Give final results as words again, after ``ATV0``: as numbers, ``0`` is OK. V.250 §6.2.6."""

    TEMPLATE = "ATV1"


@dataclass(frozen=True, slots=True)
class ATI(Command[list[str]]):
    """Identification text, a few lines."""

    TEMPLATE = "ATI"
    takes_any_line: ClassVar[bool] = True
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> list[str]:
        """Give the lines as they are."""
        return [response.line for response in responses]


@dataclass(frozen=True, slots=True)
class CGMR(Command[str]):
    """Firmware revision, such as BC260YCNAAR01A03."""

    TEMPLATE = "AT+CGMR"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CGMR",)
    takes_any_line: ClassVar[bool] = True
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> str:
        """Give the revision, without the word "Revision:" that some firmware puts before it."""
        text = _last_text(self, responses)
        return text[len("Revision:") :].strip() if text.startswith("Revision:") else text


@dataclass(frozen=True, slots=True)
class CGSN(Command[str]):
    """The modem's serial number, its IMEI."""

    TEMPLATE = "AT+CGSN=1"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CGSN",)
    takes_any_line: ClassVar[bool] = True
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> str:
        """Give the digits."""
        imei = _last_text(self, responses)
        if not (imei.isascii() and imei.isdigit()):
            raise RemoteProtocolError(f"not an IMEI: {imei!r}")
        return imei


def _last_text(command: Command[str], responses: Sequence[InfoResponse]) -> str:
    if not responses:
        raise RemoteProtocolError(f"no information in the answer to {command.line}")
    return responses[-1].text.strip().strip('"')


@dataclass(frozen=True, slots=True)
class CMEE(PlainCommand):
    """Form of errors: 0 ERROR alone, 1 +CME ERROR with a number, 2 with a text. TS 27.007 §9.1."""

    TEMPLATE = "AT+CMEE={0.mode}"
    RANGES = (("mode", 0, 2),)

    mode: int = 1


@dataclass(frozen=True, slots=True)
class CMEERead(Command[int | None]):
    """Form of errors, see CMEE."""

    TEMPLATE = "AT+CMEE?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CMEE",)

    def parse(self, responses: Sequence[InfoResponse]) -> int | None:
        """Give the mode; None where the firmware says OK alone."""
        return read_int(last_fields(self, responses), 0) if responses else None


@dataclass(frozen=True, slots=True)
class CFUN(PlainCommand):
    """Radio: 0 minimum functions, 1 on, 4 flight mode. TS 27.007 §8.2."""

    TEMPLATE = "AT+CFUN={0.mode}"
    RANGES = (("mode", 0, 4),)

    mode: int

    @property
    def timeout(self) -> float:
        """Seconds: switching the radio on takes up to 25 s on BC660K-GL, 85 s on BC66, siblings of this module."""
        return 90.0


@dataclass(frozen=True, slots=True)
class CFUNRead(Command[int]):
    """The radio's mode, see CFUN."""

    TEMPLATE = "AT+CFUN?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CFUN",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> int:
        """Give the mode."""
        return read_int(last_fields(self, responses), 0)


@dataclass(frozen=True, slots=True)
class CPINRead(Command[str]):
    """State of the SIM card. TS 27.007 §8.3."""

    TEMPLATE = "AT+CPIN?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CPIN",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> str:
        """Give the state: "READY" when the card is usable."""
        return read_text(last_fields(self, responses), 0)


@dataclass(frozen=True, slots=True)
class CSQ(Command[SignalQuality]):
    """Signal quality. TS 27.007 §8.5."""

    TEMPLATE = "AT+CSQ"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CSQ",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> SignalQuality:
        """Give rssi and ber."""
        fields = last_fields(self, responses)
        return SignalQuality(read_int(fields, 0), read_int(fields, 1))


@dataclass(frozen=True, slots=True)
class CEREG(PlainCommand):
    """Registration URCs: 0 none, 1 with <stat>, 2-5 with more. TS 27.007 §10.1.22."""

    TEMPLATE = "AT+CEREG={0.n}"
    RANGES = (("n", 0, 5),)

    n: int


@dataclass(frozen=True, slots=True)
class CEREGRead(Command[RegistrationStatus]):
    """Is the modem registered? TS 27.007 §10.1.22."""

    TEMPLATE = "AT+CEREG?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CEREG",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> RegistrationStatus:
        """Give n, stat and the cause of a refusal, which n 3 and 5 tell; location and access technology are left out.

        ``+CEREG: <n>,<stat>[,<tac>,<ci>,<AcT>[,<cause_type>,<reject_cause>]...]``
        """
        fields = last_fields(self, responses)
        return RegistrationStatus(read_int(fields, 0), read_int(fields, 1), *read_reject_cause(fields, 5))


@dataclass(frozen=True, slots=True)
class CGPADDR(Command[list[PdpAddress]]):
    """The modem's own addresses: the execute form of TS 27.007 §10.1.14, or the one of the guide's §4.1."""

    TEMPLATE = "AT+CGPADDR{0.form}"
    #: "" or "?".
    form: str = ""
    _prefixes: ClassVar[tuple[str, ...]] = ("+CGPADDR",)

    def __post_init__(self) -> None:
        if self.form not in ("", "?"):
            raise ValueError(f"form must be '' or '?', not {self.form!r}")

    def parse(self, responses: Sequence[InfoResponse]) -> list[PdpAddress]:
        """Give one value a context; of two addresses of a context the IPv4 one."""
        lists = [response.fields() for response in responses]
        return [PdpAddress(read_int(fields, 0), _pdp_address(fields[1:])) for fields in lists]


def _pdp_address(fields: list[str | None]) -> str | None:
    addresses = [address for field in fields if (address := read_own_address(field or "")) is not None]
    return next((address for address in addresses if ":" not in address), addresses[0] if addresses else None)


@dataclass(frozen=True, slots=True)
class CPSMS(PlainCommand):
    """Power saving mode of the radio: 0 off, 1 on. Stored. TS 27.007 §7.38."""

    TEMPLATE = "AT+CPSMS={0.mode}"
    RANGES = (("mode", 0, 2),)

    mode: int


@dataclass(frozen=True, slots=True)
class CPSMSRead(Command[int | None]):
    """Power saving mode of the radio, see CPSMS."""

    TEMPLATE = "AT+CPSMS?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CPSMS",)

    def parse(self, responses: Sequence[InfoResponse]) -> int | None:
        """Give the mode, without the timers; None where the firmware says OK alone."""
        return read_int(last_fields(self, responses), 0) if responses else None


@dataclass(frozen=True, slots=True)
class QSCLK(PlainCommand):
    """Sleep: 0 never, 1 deep sleep when idle, 2 light sleep only. Not stored. BC260Y-CN TCP/IP guide 1.1 §4.1."""

    TEMPLATE = "AT+QSCLK={0.mode}"
    RANGES = (("mode", 0, 2),)

    mode: int


@dataclass(frozen=True, slots=True)
class QSCLKRead(Command[int]):
    """The sleep mode, see QSCLK."""

    TEMPLATE = "AT+QSCLK?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+QSCLK",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> int:
        """Give the mode."""
        return read_int(last_fields(self, responses), 0)


@dataclass(frozen=True, slots=True)
class CCLK(PlainCommand):
    """Set the clock. TS 27.007 §8.15."""

    #: Must be aware; sent in UTC, in whole seconds.
    moment: datetime

    def __post_init__(self) -> None:
        format_time(self.moment)

    @property
    def line(self) -> str:
        return f"AT+CCLK={quote(format_time(self.moment))}"


@dataclass(frozen=True, slots=True)
class CCLKRead(Command[datetime]):
    """The clock. TS 27.007 §8.15."""

    TEMPLATE = "AT+CCLK?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CCLK",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> datetime:
        """Give the time in UTC."""
        last_fields(self, responses)
        # Not from the fields: some firmware leaves the quotes out, and the time has a comma.
        return parse_time(responses[-1].text)


@dataclass(frozen=True, slots=True)
class CGDCONT(PlainCommand):
    """Define a PDP context, that is its access point name. TS 27.007 §10.1.1."""

    cid: int
    #: "IP", "IPV6", "IPV4V6" or "NONIP".
    kind: str
    apn: str

    def __post_init__(self) -> None:
        check_range("cid", self.cid, 0, 15)
        if self.kind not in ("IP", "IPV6", "IPV4V6", "NONIP"):
            raise ValueError(f"kind must be IP, IPV6, IPV4V6 or NONIP, not {self.kind!r}")
        check_parameter(self.apn, "apn", MAX_APN_SIZE)

    @property
    def line(self) -> str:
        return f'AT+CGDCONT={self.cid},"{self.kind}",{quote(self.apn, MAX_APN_SIZE)}'


@dataclass(frozen=True, slots=True)
class CGDCONTRead(Command[list[PdpContext]]):
    """The PDP contexts that are defined."""

    TEMPLATE = "AT+CGDCONT?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CGDCONT",)

    def parse(self, responses: Sequence[InfoResponse]) -> list[PdpContext]:
        """Give one value a context."""
        lists = [response.fields() for response in responses]
        return [PdpContext(read_int(fields, 0), read_text(fields, 1), read_text(fields, 2)) for fields in lists]


@dataclass(frozen=True, slots=True)
class IPR(PlainCommand):
    """Set the baud rate of the serial line; stored. The OK still comes at the old rate."""

    TEMPLATE = "AT+IPR={0.rate}"

    rate: int

    def __post_init__(self) -> None:
        if self.rate not in BAUDRATES:
            raise ValueError(f"baud rate must be one of {', '.join(map(str, BAUDRATES))}, not {self.rate!r}")


@dataclass(frozen=True, slots=True)
class IPRRead(Command[int]):
    """The stored baud rate; 0 means that the modem finds it by itself."""

    TEMPLATE = "AT+IPR?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+IPR",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> int:
        """Give the rate."""
        return read_int(last_fields(self, responses), 0)
