"""What the modem tells about itself: the values that ``Modem`` methods return."""

from __future__ import annotations

from nbsocket._dataclass import dataclass

__all__ = ["DnsServers", "ModuleInfo", "ModuleSettings", "NetworkStatus", "PingReply", "PingResult", "SocketState"]


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """Identity of the modem. Source: answers to ATI, AT+CGMR and AT+CGSN=1."""

    manufacturer: str
    model: str
    #: Firmware revision, for example ``"BC260YCNAAR01A03"``.
    revision: str
    #: 15 digits, or ``""`` where the modem gives none.
    imei: str


@dataclass(frozen=True, slots=True)
class ModuleSettings:
    """How the modem is set.

    Source: AT+QICFG (BC260Y-CN TCP/IP guide 1.1 §2.3.1), AT+QSCLK? (§4.1), AT+IPR?, AT+CPSMS? (TS 27.007 §7.38).
    """

    #: How AT+QISEND takes data in command mode: ``"text"`` or ``"hex"``.
    send_format: str
    #: How received data is reported.
    receive_format: str
    #: 0: never sleeps, 1: deep sleep when idle, 2: light sleep only; None where the firmware does not tell. As it was
    #: found at the start, where it is going to be put back (``restore_sleep``).
    sleep_mode: int | None
    #: Rate at which the modem is spoken to; behind ``socket://`` the one that it has stored, 0 if it tells none.
    baudrate: int
    #: Rate that the modem has stored, 0 where it finds the rate by itself; None where the firmware does not tell.
    stored_baudrate: int | None
    #: The radio saves power: the network cannot reach the modem some seconds after the last traffic. None where the
    #: firmware does not tell.
    saves_power: bool | None = None


@dataclass(frozen=True, slots=True)
class NetworkStatus:
    """Registration and signal. Source: AT+CEREG?, AT+CSQ, AT+CGPADDR?."""

    registered: bool
    #: In words: ``"registered, home network"``, ``"searching"`` ...
    registration: str
    #: Received signal strength in dBm, or None when the modem does not know it.
    rssi: int | None
    #: The modem's IP address, or None before it has one.
    address: str | None


@dataclass(frozen=True, slots=True)
class DnsServers:
    """Name servers in use, ``""`` where none is set. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.7."""

    primary_ipv4: str
    secondary_ipv4: str
    primary_ipv6: str
    secondary_ipv6: str


@dataclass(frozen=True, slots=True)
class PingReply:
    """One echo request's outcome. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8."""

    #: Who answered, or None when nobody did.
    address: str | None
    #: Bytes sent in the request, or None when nobody answered.
    size: int | None
    #: Round-trip time in seconds, or None when nobody answered.
    rtt: float | None
    #: Time to live, None where the firmware (A02 and before) gives none.
    ttl: int | None
    #: Result code: 0, or the reason (569: no answer in time).
    result: int


@dataclass(frozen=True, slots=True)
class PingResult:
    """A whole ping. Times in seconds, None when no reply came. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.8."""

    #: Packets sent.
    sent: int
    #: Packets answered.
    received: int
    #: Packets not answered.
    lost: int
    rtt_min: float | None
    rtt_max: float | None
    rtt_avg: float | None
    replies: tuple[PingReply, ...]


@dataclass(frozen=True, slots=True)
class SocketState:
    """One of the modem's sockets. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.4."""

    socket_id: int
    #: ``"TCP"`` or ``"UDP"``.
    service: str
    host: str
    remote_port: int
    #: 0 where the modem chose the port itself.
    local_port: int
    #: 0 initial, 1 connecting, 2 connected, 3 closing, 4 closed by the peer.
    state: int
    context_id: int
    access_mode: int
    #: True when this process opened it.
    is_ours: bool = False
