"""What the other methods of a socket mean over the modem: addresses, shutdown, close.

The class ``nbsocket.socket`` and the wrappers of ``patch()`` share these functions; connecting is in ``_connect.py``,
options are in ``_options.py``, the calls that carry data in ``_data.py``. Every function takes the socket object, the
:class:`Route` that holds for it, and then the arguments of the method of its name. The operating system's own sockets
are reached through the C class only, so that no patched method is ever called back.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from socket import SOCK_DGRAM
from types import FrameType
from typing import Any

from nbsocket._channel import Channel, ChannelState, DatagramChannel, StreamChannel, lookup
from nbsocket._errors import make_error
from nbsocket._routing._addresses import (
    Address,
    parse_address,
    parse_literal,
    resolved,
    unsupported,
)
from nbsocket._routing._audit import audit
from nbsocket._routing._bypass import LOOPBACK
from nbsocket._routing._resolver import local_address, resolve_one
from nbsocket._routing._route import Route, is_local_name
from nbsocket._runtime import _stdlib
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket, own_traffic
from nbsocket._sockets._connect import is_loopback
from nbsocket._sockets._kinds import datagram_channel, family_of, is_inet, stream_channel, type_of
from nbsocket._sockets._preconnect import preconnect_options

#: Seconds that getsockname() of a connected UDP socket waits for the modem to have an address.
NAME_TIMEOUT = 30.0

#: Frames between getsockname() and the ``__repr__`` that asks it, wrappers included.
REPR_DEPTH = 5


def bind(sock: StdlibSocket, route: Route, address: Any, /) -> None:
    """Like :meth:`socket.socket.bind`; no traffic; the port is the modem's local port of the coming connection.

    Raises:
        OSError: EADDRNOTAVAIL for an address that is not the wildcard (nor bypassed), EINVAL when already bound.
    """
    if not is_inet(sock):
        return GenuineSocket.bind(sock, address)
    if type_of(sock) == SOCK_DGRAM:
        return _bind_datagram(sock, route, address)
    if stream_channel(sock) is not None:
        raise make_error(errno.EINVAL)
    if route.keeps_listeners:
        GenuineSocket.bind(sock, _without_name(sock, address))
        local = parse_address(family_of(sock), address, "bind")
    else:
        local = _wildcard(sock, address)
        audit("socket.bind", sock, address)
    stands_for_module = local.is_wildcard or (is_loopback(local.host) and not route.covers(local.host))
    if stands_for_module and (local.port or not route.keeps_listeners):
        _remember_local(sock, local)
    return None


def _without_name(sock: StdlibSocket, address: Any) -> Any:
    """Look a name to be bound up by the host's resolver, as bind() does, but where ``--strict`` can refuse it.

    The C function asks before its audit event is raised.
    """
    host = address[0] if isinstance(address, tuple) and address else None
    if not isinstance(host, str) or host in ("", "<broadcast>"):
        return address
    if parse_literal(host) is not None:
        return address
    if is_local_name(host):
        return (local_address(host, family_of(sock)), *address[1:])
    with own_traffic.asking_host():
        found = _stdlib.getaddrinfo(host, None, family_of(sock), type_of(sock))
    return (found[0][4][0], *address[1:])


def _wildcard(sock: StdlibSocket, address: Any) -> Address:
    local = parse_address(family_of(sock), address, "bind")
    if not local.is_wildcard:
        raise make_error(errno.EADDRNOTAVAIL, f"cannot bind to {local.host}: the network gives the module's address")
    return local


def _remember_local(sock: StdlibSocket, local: Address) -> None:
    preconnect = preconnect_options(sock, make=True)
    if preconnect is None:
        raise make_error(errno.EBADF)
    if preconnect.local is not None:
        raise make_error(errno.EINVAL)
    preconnect.local = local


def _bind_datagram(sock: StdlibSocket, route: Route, address: Any) -> None:
    channel = datagram_channel(sock)
    if channel is None:
        return GenuineSocket.bind(sock, _without_name(sock, address))
    local = parse_address(family_of(sock), address, "bind")
    if local.is_wildcard:
        if channel.bypass is None:
            audit("socket.bind", sock, address)
        engine = route.modem.engine
        channel.bind(local.sockaddr())
        return engine.attach(channel)
    if route.keeps_listeners and is_local_name(local.host):
        local = resolved(local, lambda name, family: resolve_one(route, name, family))
    if not (route.covers(local.host) or (route.keeps_listeners and LOOPBACK.covers(local.host))):
        _wildcard(sock, address)
    channel.restore(sock)
    return GenuineSocket.bind(sock, local.sockaddr())


def listen(sock: StdlibSocket, route: Route, /, *args: Any) -> None:
    """Like :meth:`socket.socket.listen`, on the operating system's network only: the modem cannot accept connections.

    Raises:
        OSError: EOPNOTSUPP for ``nbsocket.socket``.
    """
    if is_inet(sock) and (not route.keeps_listeners or type_of(sock) == SOCK_DGRAM):
        raise unsupported("listen()")
    GenuineSocket.listen(sock, *args)


def getpeername(sock: StdlibSocket, route: Route, /) -> Any:
    """Like :meth:`socket.socket.getpeername`: the address given to connect, its name resolved."""
    channel = lookup(GenuineSocket.fileno(sock))
    if channel is None:
        return GenuineSocket.getpeername(sock)
    if channel.peername is None or not _has_peer(channel):
        raise make_error(errno.ENOTCONN)
    return channel.peername


def _has_peer(channel: Channel) -> bool:
    """As Linux: after an end the peer is still known, after a reset it is not, which is how ``ssl`` tells."""
    if isinstance(channel, StreamChannel):
        return channel.state in (ChannelState.CONNECTED, ChannelState.CLOSED) and not channel.was_reset
    return True


def getsockname(sock: StdlibSocket, route: Route, /) -> Any:
    """Like :meth:`socket.socket.getsockname`: the modem's address once connected; port 0 unless one was chosen.

    A blocking UDP socket waits up to 30 s for the modem to be on the network: programs learn their own address so.
    """
    channel = lookup(GenuineSocket.fileno(sock))
    if isinstance(channel, DatagramChannel):
        timeout = GenuineSocket.gettimeout(sock)
        wait = NAME_TIMEOUT if timeout is None else min(timeout, NAME_TIMEOUT)
        return channel.local_name(0.0 if _is_in_repr() else wait)
    if channel is not None:
        return channel.sockname
    name = GenuineSocket.getsockname(sock)
    preconnect = preconnect_options(sock) if is_inet(sock) and name[1] == 0 else None
    return preconnect.local.sockaddr() if preconnect and preconnect.local else name


def _is_in_repr() -> bool:
    """Whether the caller only wants to show the socket, which must not wait."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(REPR_DEPTH):
        if frame is None:
            return False
        if frame.f_code is StdlibSocket.__repr__.__code__:
            return True
        frame = frame.f_back
    return False


def shutdown(sock: StdlibSocket, route: Route, how: int, /) -> None:
    """Like :meth:`socket.socket.shutdown`; differs: the modem has no half-close.

    After SHUT_WR the connection stays readable until the peer closes it or the linger time is over.
    """
    channel = lookup(GenuineSocket.fileno(sock))
    if isinstance(channel, StreamChannel):
        return channel.shutdown(sock, how)
    if isinstance(channel, DatagramChannel) and not channel.is_connected:
        raise make_error(errno.ENOTCONN)
    return GenuineSocket.shutdown(sock, how)


def real_close(sock: StdlibSocket, route: Route, /, *args: Any) -> None:
    """What ``close()`` of the socket, or of its last file object, comes to.

    With a positive SO_LINGER it returns when everything is acknowledged, or after so many seconds; whatever the
    socket's time-out, as on Linux. What is left then is dropped.
    """
    channel = None if sys.is_finalizing() else stream_channel(sock)
    linger = (
        channel.linger
        if channel is not None and channel.state in (ChannelState.CONNECTED, ChannelState.CLOSED)
        else None
    )
    GenuineSocket.close(sock)
    if channel is not None and channel.engine is not None and linger:
        channel.engine.linger(channel, linger)


#: The methods of ``socket.socket`` that are implemented here.
NAME_METHODS: dict[str, Callable[..., Any]] = {
    **{function.__name__: function for function in (bind, listen, getpeername, getsockname, shutdown)},
    "_real_close": real_close,
}
