"""What the driver tells the engine."""

from __future__ import annotations

from nbsocket._dataclass import dataclass

__all__ = [
    "ConnectFailed",
    "Connected",
    "ConnectionEnded",
    "ConnectionReset",
    "DataReceived",
    "DatagramsLost",
    "Event",
    "Log",
    "PeerClosed",
    "RequestDone",
    "RequestFailed",
    "RequestProgress",
    "SetBaudrate",
    "Stopped",
]


@dataclass(frozen=True, slots=True)
class Connected:
    """The modem opened the connection; data may flow."""

    key: int


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """The connection could not be opened. Last event of ``key``, though its socket_id may take a moment to be free."""

    key: int
    error: OSError


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Bytes of the stream in order, or one datagram (possibly empty)."""

    key: int
    data: bytes


@dataclass(frozen=True, slots=True)
class DatagramsLost:
    """Datagrams that the application wrote were given up; they are counted already."""

    key: int
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer ended the stream; all its data was delivered before."""

    key: int


@dataclass(frozen=True, slots=True)
class ConnectionReset:
    """The stream was cut short in either direction; what was received before stands."""

    key: int
    error: OSError


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The socket_id is free again. Last event of ``key``."""

    key: int


@dataclass(frozen=True, slots=True)
class RequestDone:
    """A request succeeded."""

    request_id: int
    #: Of the type that the request's class states.
    value: object


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """A request failed or its deadline passed."""

    request_id: int
    error: OSError


@dataclass(frozen=True, slots=True)
class RequestProgress:
    """A request has something to tell before it is done: the next ping reply, the next line."""

    request_id: int
    #: Of the type that the request's class states.
    value: object


@dataclass(frozen=True, slots=True)
class SetBaudrate:
    """Switch the port to ``rate`` before writing what ``data_to_send()`` gives next."""

    rate: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The driver has closed everything after ``shut_down()``; the port may be closed."""


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; ``level`` as in :mod:`logging`."""

    level: int
    message: str


Event = (
    Connected
    | ConnectFailed
    | DataReceived
    | DatagramsLost
    | PeerClosed
    | ConnectionReset
    | ConnectionEnded
    | RequestDone
    | RequestFailed
    | RequestProgress
    | SetBaudrate
    | Stopped
    | Log
)
