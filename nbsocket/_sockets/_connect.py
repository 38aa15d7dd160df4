"""connect() and connect_ex() over the modem: where to, by which way, and what became of it."""

from __future__ import annotations

import errno
import socket as _socket_module
import struct
from collections.abc import Callable
from contextlib import suppress
from socket import SOCK_DGRAM
from typing import Any
from weakref import WeakKeyDictionary

from nbsocket._channel import ChannelState, Reason, StreamChannel, lookup
from nbsocket._dataclass import dataclass
from nbsocket._errors import ModemError, make_error
from nbsocket._routing._addresses import (
    Address,
    check_destination,
    parse_address,
    parse_literal,
    resolved,
)
from nbsocket._routing._audit import audit
from nbsocket._routing._bypass import LOOPBACK
from nbsocket._routing._leak_warnings import note_bypassed
from nbsocket._routing._resolver import resolve_one
from nbsocket._routing._route import Route, is_local_name
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket
from nbsocket._sockets._kinds import (
    datagram_channel,
    family_of,
    is_inet,
    make_datagram_channel,
    stream_channel,
    type_of,
)
from nbsocket._sockets._preconnect import PreconnectOptions, preconnect_options


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call is to go."""

    address: Address
    #: the tuple for the operating system when the address is bypassed, else None
    native: tuple[Any, ...] | None


_WILDCARDS = ("0.0.0.0", "::")

#: Of each socket's last attempt to connect: what became of it may be asked for after the socket's close, too.
_reasons: WeakKeyDictionary[StdlibSocket, Reason] = WeakKeyDictionary()


def last_error(sock: StdlibSocket) -> ModemError | None:
    """Return why the socket's connection failed or was cut: the reason behind what ``recv()`` or ``send()`` raised.

    What the kernel raises on the descriptor, such as ConnectionResetError, has no ``result`` and no sentence of the
    module's. It may also be asked for after the socket was closed. It takes no lock, and costs connecting sockets only.

    Args:
        sock: a socket that was connected over the modem.
    Returns:
        None where nothing has gone wrong, and for sockets that do not go over a modem.
    """
    channel = lookup(fd) if (fd := GenuineSocket.fileno(sock)) >= 0 else None
    reason = channel.reason if channel is not None else _reasons.get(sock)
    return reason.error if reason is not None else None


def target_of(sock: StdlibSocket, route: Route, address: Any, call: str, timeout: float | None = None) -> Target:
    """Check ``address``, resolve its name and say which way it goes; for AF_INET and AF_INET6 sockets only.

    Raises:
        TypeError, OverflowError, UnicodeError, gaierror: as :func:`parse_address`.
        TimeoutError: the look-up took longer than ``timeout``.
    """
    given = parse_address(family_of(sock), address, call)
    known = resolved(given, lambda name, family: resolve_one(route, name, family, timeout))
    if not (route.covers(known.host) or _stays_inside(sock, route, known.host)):
        return Target(known, None)
    note_bypassed(known.host, known.port)
    return Target(known, address if known is given else known.sockaddr())


def _stays_inside(sock: StdlibSocket, route: Route, host: str) -> bool:
    """Return whether a UDP socket is bound to a loopback address and ``host`` is one, too: it is a server and answers.

    A stream socket that connects is none, so there the bypass alone decides.
    """
    return (
        route.keeps_listeners
        and type_of(sock) == SOCK_DGRAM
        and datagram_channel(sock) is None
        and LOOPBACK.covers(host)
        and is_loopback(native_host(sock))
    )


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is a loopback address or a name for it; the wildcard is not."""
    literal = parse_literal(host)
    return is_local_name(host) if literal is None else not literal.is_unspecified and LOOPBACK.covers(host)


def native_host(sock: StdlibSocket) -> str:
    """Return the address that the operating system bound the socket to."""
    name = GenuineSocket.getsockname(sock)
    return str(name[0]) if name else ""


def connect(sock: StdlibSocket, route: Route, address: Any, /) -> None:
    """Like :meth:`socket.socket.connect`; differs: the name is looked up by the modem, within the socket's timeout.

    Raises:
        OSError: EMFILE when the modem's five connections are in use, ECONNREFUSED, EISCONN, ... as from the
            operating system.
        TimeoutError: the socket's timeout has passed; the attempt is given up in the modem, too.
        BlockingIOError: EINPROGRESS on a non-blocking stream socket.
    """
    if not is_inet(sock):
        return GenuineSocket.connect(sock, address)
    return _start(sock, route, address, "connect")()


def connect_ex(sock: StdlibSocket, route: Route, address: Any, /) -> int:
    """Like :meth:`socket.socket.connect_ex`: the errno of what fails once the address is understood."""
    if not is_inet(sock):
        return GenuineSocket.connect_ex(sock, address)
    attempt = _start(sock, route, address, "connect_ex")
    try:
        attempt()
    except OSError as error:
        return error.errno or errno.EWOULDBLOCK
    return 0


def _start(sock: StdlibSocket, route: Route, address: Any, call: str) -> Callable[[], None]:
    timeout = GenuineSocket.gettimeout(sock)
    begin = monotonic()
    target = target_of(sock, route, address, call, timeout or None)
    if timeout:
        timeout = max(0.001, timeout - (monotonic() - begin))
    if target.native is None:
        audit("socket.connect", sock, address)
    connector = _connect_datagram if type_of(sock) == SOCK_DGRAM else _connect_stream
    return lambda: connector(sock, route, target, timeout)


def _connect_stream(sock: StdlibSocket, route: Route, target: Target, timeout: float | None) -> None:
    if _was_connecting(sock, timeout):
        return None
    if target.native is not None:
        return GenuineSocket.connect(sock, target.native)
    address = target.address
    check_destination(address, call="connect")
    preconnect = preconnect_options(sock) or PreconnectOptions()
    local_port = preconnect.local.port if preconnect.local else 0
    check_local(sock, route, address.host)
    engine = route.modem.engine
    channel = StreamChannel(sock, address.sockaddr(), local_port)
    try:
        if preconnect.rai:
            channel.set_option("rai", preconnect.rai)
        channel.outcome = engine.connect(channel, address.wire_host, address.port, local_port)
        with suppress(TypeError):  # a class of the program's whose sockets have no hash
            _reasons[sock] = channel.reason
        # At once, so that what other threads do with the socket meanwhile (shutdown, poll, close) is as natively.
        channel.install(sock)
    except BaseException:
        engine.abandon(channel)
        raise
    if timeout == 0:
        raise make_error(errno.EINPROGRESS)
    return _wait_until_connected(channel, sock, timeout, errno.EINPROGRESS)


def _was_connecting(sock: StdlibSocket, timeout: float | None) -> bool:
    """Return whether the socket was being connected and now is; False for one that can be connected.

    Raises:
        OSError: as connect(2) for a socket that is connected, or whose attempt is under way, or has failed and nobody
            has asked why. After a failure it can be connected again.
    """
    channel = stream_channel(sock)
    if channel is None:
        if _has_native_peer(sock):
            raise make_error(errno.EISCONN)
        return False
    if channel.state is ChannelState.CONNECTING and timeout is None and channel.engine is not None:
        _wait_until_connected(channel, sock, timeout, errno.EALREADY)
        return True
    if channel.state is ChannelState.CONNECTING:
        raise make_error(errno.EALREADY)
    if channel.state is not ChannelState.FAILED:
        raise make_error(errno.EISCONN)
    pending = channel.pop_error()
    channel.restore(sock)
    if pending:
        raise make_error(pending)
    return False


def _wait_until_connected(channel: StreamChannel, sock: StdlibSocket, timeout: float | None, bound_error: int) -> None:
    """Wait for the outcome of an attempt.

    SO_SNDTIMEO bounds the wait of a socket without a timeout and leaves the attempt under way: ``bound_error``. After
    every other exception the socket is an unconnected one again, and the modem's attempt is given up.
    """
    assert channel.outcome is not None, "the attempt is under way"
    bound = _send_timeout(sock) if timeout is None else None
    try:
        channel.outcome.result(bound if timeout is None else timeout)
    except BaseException as error:
        if bound is not None and isinstance(error, TimeoutError) and not channel.outcome.done():
            raise make_error(bound_error) from None
        channel.pop_error()
        with suppress(OSError):  # closed by another thread, which has ended the attempt
            channel.restore(sock)
        raise


def _send_timeout(sock: StdlibSocket) -> float | None:
    """Return SO_SNDTIMEO in seconds; None when it is off."""
    raw = GenuineSocket.getsockopt(sock, _socket_module.SOL_SOCKET, _socket_module.SO_SNDTIMEO, 16)
    seconds, microseconds = struct.unpack("ll" if len(raw) == 16 else "ii", raw)
    return seconds + microseconds / 1e6 or None


def _has_native_peer(sock: StdlibSocket) -> bool:
    try:
        GenuineSocket.getpeername(sock)
    except OSError as error:
        if error.errno == errno.EBADF:
            raise
        return False
    return True


def check_local(sock: StdlibSocket, route: Route, host: str) -> None:
    """A socket that the operating system bound to one of the host's addresses cannot send from there over the modem.

    Where even loopback goes over the modem, a loopback address stands for the modem's own, which is not known before.
    """
    local = native_host(sock)
    is_inside = is_loopback(local) and LOOPBACK.covers(host) and not route.covers(local)
    if local not in _WILDCARDS and not is_inside:
        raise make_error(errno.EADDRNOTAVAIL, f"the socket is bound to {local}, which is not an address of the module")


def _connect_datagram(sock: StdlibSocket, route: Route, target: Target, timeout: float | None) -> None:
    channel = datagram_channel(sock)
    if target.native is not None:
        if channel is not None:
            channel.restore(sock)
        return GenuineSocket.connect(sock, target.native)
    check_destination(target.address, call="connect")
    engine = route.modem.engine
    if channel is None:
        check_local(sock, route, target.address.host)
        channel = make_datagram_channel(sock, route)
    engine.attach(channel)
    return channel.connect(sock, target.address.sockaddr())


#: The methods of ``socket.socket`` that are implemented here.
CONNECT_METHODS: dict[str, Callable[..., Any]] = {"connect": connect, "connect_ex": connect_ex}
