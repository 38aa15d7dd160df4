"""The driver: the modem's brain, sans-IO.

``_driver`` is the way in, ``_scheduler`` chooses the next command, ``_listener`` takes what the modem says, ``_core``
is what all parts share. ``_lifecycle`` (with the scripts of ``_life``) is bring-up and recovery, ``_attachment`` (with
those of ``_attach``) the network. ``_connections`` is the way to the connections: ``_connection`` is one of them,
``_opening``, ``_open`` and ``_closing`` are its phases (``_phase``), ``_transitions`` leads from one to the next,
``_segments`` sends, ``_socket_ids`` and ``_connection_table`` know who has what. ``_requests``, ``_details``,
``_resolve``, ``_ping``, ``_raw`` and ``_baudrate`` are what else the host may ask; ``_tasks`` keeps those requests,
``_late`` what the modem still owes to ended ones, ``_script`` runs scripts; ``_events``, ``_values`` and
``_detail_values`` are what comes out. ``_details`` and its values are loaded when ``Modem.details()`` is called.
"""

from __future__ import annotations

from nbsocket._driver._access import SimPin
from nbsocket._driver._baudrate import ChangeBaudrate, check_baudrate
from nbsocket._driver._connection import Source
from nbsocket._driver._driver import Driver
from nbsocket._driver._events import (
    Connected,
    ConnectFailed,
    ConnectionEnded,
    ConnectionReset,
    DatagramsLost,
    DataReceived,
    Event,
    Log,
    PeerClosed,
    RequestDone,
    RequestFailed,
    RequestProgress,
    SetBaudrate,
    Stopped,
)
from nbsocket._driver._log_limit import SAID
from nbsocket._driver._ping import Ping
from nbsocket._driver._raw import RawCommand, check_raw_command
from nbsocket._driver._requests import (
    GetClock,
    GetDnsServers,
    GetInfo,
    GetSettings,
    GetSignal,
    GetSockets,
    GetStatus,
    GetUnacked,
    Request,
    SetDnsServers,
    SyncTime,
    WaitAttached,
    WaitUp,
)
from nbsocket._driver._resolve import Resolve
from nbsocket._driver._settings import Settings
from nbsocket._driver._values import (
    DnsServers,
    ModuleInfo,
    ModuleSettings,
    NetworkStatus,
    PingReply,
    PingResult,
    SocketState,
)

__all__ = [
    "SAID",
    "ChangeBaudrate",
    "ConnectFailed",
    "Connected",
    "ConnectionEnded",
    "ConnectionReset",
    "DataReceived",
    "DatagramsLost",
    "DnsServers",
    "Driver",
    "Event",
    "GetClock",
    "GetDnsServers",
    "GetInfo",
    "GetSettings",
    "GetSignal",
    "GetSockets",
    "GetStatus",
    "GetUnacked",
    "Log",
    "ModuleInfo",
    "ModuleSettings",
    "NetworkStatus",
    "PeerClosed",
    "Ping",
    "PingReply",
    "PingResult",
    "RawCommand",
    "Request",
    "RequestDone",
    "RequestFailed",
    "RequestProgress",
    "Resolve",
    "SetBaudrate",
    "SetDnsServers",
    "Settings",
    "SimPin",
    "SocketState",
    "Source",
    "Stopped",
    "SyncTime",
    "WaitAttached",
    "WaitUp",
    "check_baudrate",
    "check_raw_command",
]
