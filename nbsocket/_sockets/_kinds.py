"""What a socket object is: its family and type, and the channel behind its file descriptor."""

from __future__ import annotations

import socket as _socket_module
from socket import SOCK_DGRAM, SOCK_STREAM

from nbsocket._channel import DatagramChannel, StreamChannel, lookup
from nbsocket._routing._addresses import (
    INET_FAMILIES,
    unsupported,
)
from nbsocket._routing._bypass import NOTHING
from nbsocket._routing._route import Route
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket


def family_of(sock: StdlibSocket) -> int:
    """Return the address family the program knows the socket by."""
    return int(GenuineSocket.family.__get__(sock))


def type_of(sock: StdlibSocket) -> int:
    """Return the type the program knows the socket by, SOCK_STREAM or SOCK_DGRAM or another."""
    return int(GenuineSocket.type.__get__(sock))


def is_inet(sock: StdlibSocket) -> bool:
    """Return whether the socket is of a family that may travel over the modem."""
    return family_of(sock) in INET_FAMILIES


def stream_channel(sock: StdlibSocket) -> StreamChannel | None:
    """Return the stream channel behind the socket's fd, if there is one."""
    channel = lookup(GenuineSocket.fileno(sock))
    return channel if isinstance(channel, StreamChannel) else None


def datagram_channel(sock: StdlibSocket) -> DatagramChannel | None:
    """Return the datagram channel behind the socket's fd, if there is one."""
    channel = lookup(GenuineSocket.fileno(sock))
    return channel if isinstance(channel, DatagramChannel) else None


def check_kind(family: int, type: int, proto: int) -> None:
    """Refuse the kinds of AF_INET and AF_INET6 sockets that the modem does not have.

    Raises:
        OSError: EOPNOTSUPP for raw and other sockets that are neither TCP nor UDP.
    """
    if family not in INET_FAMILIES:
        return
    kind = type & ~(getattr(_socket_module, "SOCK_NONBLOCK", 0) | getattr(_socket_module, "SOCK_CLOEXEC", 0))
    # 262 is IPPROTO_MPTCP: over the modem it is plain TCP, as where the peer does not know it.
    protocols = {SOCK_STREAM: (0, _socket_module.IPPROTO_TCP, 262), SOCK_DGRAM: (0, _socket_module.IPPROTO_UDP)}
    if proto not in protocols.get(_socket_module.SocketKind(kind), ()):
        raise unsupported(f"a socket of type {kind} and protocol {proto}")


def make_datagram_channel(sock: StdlibSocket, route: Route, *, is_new: bool = False) -> DatagramChannel:
    """Put a datagram channel on the socket's fd; what ``route`` covers still goes out of the OS socket."""
    return DatagramChannel(sock, None if route.bypass == NOTHING else route.covers, is_new=is_new)
