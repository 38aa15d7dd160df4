"""What commands give back: small values, as the modem stated them."""

from __future__ import annotations

from typing import NamedTuple

from nbsocket._dataclass import dataclass

__all__ = [
    "Acknowledgement",
    "DataFormat",
    "DnsConfig",
    "PdpAddress",
    "PdpContext",
    "RegistrationStatus",
    "SignalQuality",
    "SocketStatus",
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
