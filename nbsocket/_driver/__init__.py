"""The driver: the module's brain, sans-IO.

``_driver`` decides what is sent next; ``_links`` knows the connections (``_connection`` is one of them), ``_life`` the
scripts of bring-up and recovery, ``_requests`` what else the host may ask; ``_script`` runs scripts; ``_events`` and
``_values`` are what comes out.
"""

from __future__ import annotations

from nbsocket._driver._connection import Source
from nbsocket._driver._driver import Driver
from nbsocket._driver._events import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DataReceived,
    Event,
    Log,
    PeerClosed,
    RequestDone,
    RequestFailed,
    SetBaudrate,
    Stopped,
)
from nbsocket._driver._life import Settings
from nbsocket._driver._requests import (
    GetClock,
    GetDnsServers,
    GetInfo,
    GetSockets,
    GetStatus,
    GetUnacked,
    Ping,
    RawCommand,
    Request,
    Resolve,
    SetDnsServers,
    SyncTime,
    WaitAttached,
)
from nbsocket._driver._values import DnsServers, ModuleInfo, NetworkStatus, PingReply, PingResult, SocketState

__all__ = [
    "ConnectFailed",
    "Connected",
    "ConnectionEnded",
    "ConnectionReset",
    "DataReceived",
    "DnsServers",
    "Driver",
    "Event",
    "GetClock",
    "GetDnsServers",
    "GetInfo",
    "GetSockets",
    "GetStatus",
    "GetUnacked",
    "Log",
    "ModuleInfo",
    "NetworkStatus",
    "PeerClosed",
    "Ping",
    "PingReply",
    "PingResult",
    "RawCommand",
    "Request",
    "RequestDone",
    "RequestFailed",
    "Resolve",
    "SetBaudrate",
    "SetDnsServers",
    "Settings",
    "SocketState",
    "Source",
    "Stopped",
    "SyncTime",
    "WaitAttached",
]
