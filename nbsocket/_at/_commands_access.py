"""Commands that let the modem in: the SIM card's PIN, and name and password for an access point."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from nbsocket._at._command import Command, InfoResponse, PlainCommand
from nbsocket._at._syntax import RemoteProtocolError, check_range, quote, read_int, read_text
from nbsocket._dataclass import dataclass, field
from nbsocket._parameter import check_parameter

__all__ = ["CGAUTH", "CPIN", "CGAUTHRead", "CPINRRead", "QPINCRead", "check_pin"]

#: Longest user name and password. TS 27.007 leaves it to the modem; siblings of this one take as many.
MAX_CREDENTIAL_SIZE = 64

_PIN_RE = re.compile(r"[0-9]{4,8}", re.ASCII)


def check_pin(pin: str) -> str:
    """Return the PIN; ValueError when it is none, without telling it."""
    if not isinstance(pin, str):
        raise TypeError(f"pin must be a str, not {type(pin).__name__}")
    if _PIN_RE.fullmatch(pin) is None:
        raise ValueError("pin must be 4 to 8 digits")
    return pin


@dataclass(frozen=True, slots=True)
class CPIN(PlainCommand):
    """Enter the SIM card's PIN. TS 27.007 §8.3."""

    TEMPLATE = 'AT+CPIN="{0.pin}"'

    pin: str = field(repr=False)

    def __post_init__(self) -> None:
        check_pin(self.pin)

    @property
    def timeout(self) -> float:
        """Seconds: the card is slow at it; siblings of this module are given as long."""
        return 10.0


@dataclass(frozen=True, slots=True)
class CPINRRead(Command[int]):
    """How often the PIN may still be entered wrongly. TS 27.007 §8.65."""

    TEMPLATE = 'AT+CPINR="SIM PIN"'
    _prefixes: ClassVar[tuple[str, ...]] = ("+CPINR",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> int:
        """Give the number of the line for the PIN."""
        return _attempts(responses, "SIM PIN")


@dataclass(frozen=True, slots=True)
class QPINCRead(Command[int]):
    """The same as siblings of this module tell it: AT+QPINC?."""

    TEMPLATE = "AT+QPINC?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+QPINC",)
    needs_info: ClassVar[bool] = True

    def parse(self, responses: Sequence[InfoResponse]) -> int:
        """Give the number of the line for the card ("SC")."""
        return _attempts(responses, "SC")


def _attempts(responses: Sequence[InfoResponse], name: str) -> int:
    if not responses:
        raise RemoteProtocolError(f"no information about the attempts left for {name}")
    lists = [response.fields() for response in responses]
    named = [fields for fields in lists if read_text(fields, 0).upper() == name]
    return read_int((named or lists)[-1], 1)


@dataclass(frozen=True, slots=True)
class CGAUTH(PlainCommand):
    """Name and password for a PDP context's access point, by PAP. TS 27.007 §10.1.31."""

    cid: int
    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        check_range("cid", self.cid, 0, 15)
        check_parameter(self.user, "apn_user", MAX_CREDENTIAL_SIZE)
        try:
            check_parameter(self.password, "apn_password", MAX_CREDENTIAL_SIZE)
        except ValueError:
            raise ValueError(
                f"apn_password must be 1 to {MAX_CREDENTIAL_SIZE} printable ASCII characters, no quotes or backslashes"
            ) from None

    @property
    def line(self) -> str:
        user, password = quote(self.user, MAX_CREDENTIAL_SIZE), quote(self.password, MAX_CREDENTIAL_SIZE)
        return f"AT+CGAUTH={self.cid},1,{user},{password}"


@dataclass(frozen=True, slots=True)
class CGAUTHRead(Command[dict[int, tuple[str, str]]]):
    """Name and password of each context. TS 27.007 §10.1.31."""

    TEMPLATE = "AT+CGAUTH?"
    _prefixes: ClassVar[tuple[str, ...]] = ("+CGAUTH",)

    def parse(self, responses: Sequence[InfoResponse]) -> dict[int, tuple[str, str]]:
        """Give name and password by context, "" where they are not told."""
        lists = [response.fields() for response in responses]
        return {read_int(fields, 0): (_text(fields, 2), _text(fields, 3)) for fields in lists}


def _text(fields: list[str | None], index: int) -> str:
    return (fields[index] or "") if index < len(fields) else ""
