"""Socket options: our own, and the platform's, which the kernel keeps and the channel tells the module of."""

from __future__ import annotations

import errno
import socket as _socket_module
import struct
import sys
from collections.abc import Callable
from socket import IPPROTO_IP, IPPROTO_IPV6
from typing import Any

from nbsocket._channel import lookup
from nbsocket._errors import make_error
from nbsocket._routing._addresses import unsupported
from nbsocket._routing._route import Route
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket
from nbsocket._sockets._kinds import is_inet
from nbsocket._sockets._preconnect import preconnect_options

#: Level of the modem's own socket options: "NB" in ASCII, far above every level of Linux (SOL_* end below 300) and
#: macOS.
SOL_NB = 0x4E42
#: Release assistance of the following sends: 0 none, 1 no more data, 2 one answer comes. Source: BC260Y-CN TCP/IP
#: guide 1.1 §2.3.5.
NB_RAI = 1
#: Read only: bytes that the peer has not acknowledged yet.
NB_UNACKED = 2

#: Longest wait for the engine's thread, which never waits itself, to take an option over.
OPTION_SECONDS = 5.0

_MULTICAST_OPTIONS = frozenset(
    (int(level), int(getattr(_socket_module, name, number)))
    for level, name, number in (
        (IPPROTO_IP, "IP_ADD_MEMBERSHIP", 35),
        (IPPROTO_IP, "IP_ADD_SOURCE_MEMBERSHIP", 39),
        (IPPROTO_IP, "MCAST_JOIN_GROUP", 42),
        (IPPROTO_IPV6, "IPV6_JOIN_GROUP", 20),
        (IPPROTO_IPV6, "MCAST_JOIN_GROUP", 42),
    )
)


def setsockopt(sock: StdlibSocket, route: Route, level: int, optname: int, /, *value: Any) -> None:
    """Like :meth:`socket.socket.setsockopt`; knows level SOL_NB besides.

    Raises:
        OSError: EOPNOTSUPP for joining a multicast group, otherwise as the kernel says.
    """
    if level == SOL_NB:
        return _set_own_option(sock, route, optname, *value)
    channel = lookup(GenuineSocket.fileno(sock))
    if (level, optname) in _MULTICAST_OPTIONS and (channel is not None or not route.keeps_listeners):
        raise unsupported("joining a multicast group")
    if channel is not None:
        return channel.setsockopt(sock, level, optname, *value)
    return GenuineSocket.setsockopt(sock, level, optname, *value)


def getsockopt(sock: StdlibSocket, route: Route, level: int, optname: int, /, *buflen: int) -> Any:
    """Like :meth:`socket.socket.getsockopt`; knows level SOL_NB besides."""
    if level == SOL_NB:
        number = _own_option(sock, optname)
        return struct.pack("i", number)[: buflen[0]] if buflen and buflen[0] else number
    channel = lookup(GenuineSocket.fileno(sock))
    if channel is None:
        try:
            return GenuineSocket.getsockopt(sock, level, optname, *buflen)
        except OSError:
            # Another thread may have begun to connect it meanwhile.
            channel = lookup(GenuineSocket.fileno(sock))
            if channel is None:
                raise
    return channel.getsockopt(sock, level, optname, *buflen)


def _set_own_option(sock: StdlibSocket, route: Route, optname: int, value: Any) -> None:
    if optname != NB_RAI or not is_inet(sock):
        raise make_error(errno.ENOPROTOOPT)
    number = int.from_bytes(value, sys.byteorder) if isinstance(value, (bytes, bytearray)) else int(value)
    if number not in (0, 1, 2):
        raise make_error(errno.EINVAL, f"NB_RAI takes 0, 1 or 2, not {number}")
    if number and not route.modem.engine.settings.is_hex:
        # Only AT+QISEND in command mode carries it. BC260Y-CN TCP/IP guide 1.1 §2.3.5.
        raise make_error(errno.EOPNOTSUPP, "NB_RAI needs a modem with data_format='hex'")
    channel = lookup(GenuineSocket.fileno(sock))
    if channel is not None:
        channel.set_option("rai", number)
        if channel.engine is not None:
            # What is sent after this call has the new value.
            channel.engine.catch_up(OPTION_SECONDS)
    elif (preconnect := preconnect_options(sock, make=True)) is not None:
        preconnect.rai = number
    else:
        raise make_error(errno.EBADF)


def _own_option(sock: StdlibSocket, optname: int) -> int:
    channel = lookup(GenuineSocket.fileno(sock))
    if optname == NB_RAI and is_inet(sock):
        preconnect = preconnect_options(sock)
        return int(channel.options.get("rai", 0)) if channel is not None else preconnect.rai if preconnect else 0
    if optname == NB_UNACKED and is_inet(sock):
        if channel is None or channel.engine is None:
            raise make_error(errno.ENOTCONN)
        return channel.engine.get_unacked(channel)
    raise make_error(errno.ENOPROTOOPT)


#: The methods of ``socket.socket`` that are implemented here.
OPTION_METHODS: dict[str, Callable[..., Any]] = {"setsockopt": setsockopt, "getsockopt": getsockopt}
