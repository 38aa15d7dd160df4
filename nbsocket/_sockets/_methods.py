"""What each call on a socket means over the modem: connecting and addresses.

The class ``nbsocket.socket`` and the wrappers of ``patch()`` share these functions; options are in ``_options.py``, the
calls that carry data in ``_transfer.py``. Every function takes the socket object, the :class:`Route` that holds for it,
and then the arguments of the method of its name. The operating system's own sockets are reached through the C class
only, so that no patched method is ever called back.
"""

from __future__ import annotations

import errno
import socket as _socket_module
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from socket import SOCK_DGRAM, SOCK_STREAM
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from nbsocket._channel import Channel, DatagramChannel, Reason, State, StreamChannel, lookup
from nbsocket._dataclass import dataclass
from nbsocket._errors import ModemError, os_error
from nbsocket._routing._addresses import (
    INET_FAMILIES,
    Address,
    check_destination,
    parse_address,
    parse_literal,
    resolved,
    unsupported,
)
from nbsocket._routing._audit import audit
from nbsocket._routing._bypass import LOOPBACK, NOTHING
from nbsocket._routing._leak_warnings import note_bypassed
from nbsocket._routing._resolver import local_address, resolve_one
from nbsocket._routing._route import Route, is_local_name
from nbsocket._runtime import _stdlib
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket, own_traffic
from nbsocket._runtime._stdlib import genuine_os as os

#: Sockets that may have wishes from before their connection; more than that many at once means that the oldest were
#: closed.
MAX_WISHES = 4096


#: Seconds that getsockname() of a connected UDP socket waits for the module to have an address.
NAME_TIMEOUT = 30.0

#: Frames between getsockname() and the ``__repr__`` that asks it, wrappers included.
REPR_DEPTH = 5


@dataclass(slots=True)
class Wishes:
    """What a program asked of a stream socket before its connection, and the OS socket cannot hold."""

    local: Address | None = None
    rai: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call is to go."""

    address: Address
    #: the tuple for the operating system when the address is bypassed, else None
    native: tuple[Any, ...] | None


_WILDCARDS = ("0.0.0.0", "::")

# By inode, so that they outlive detach() and the SSLSocket that takes the fd over.
_wishes: OrderedDict[int, Wishes] = OrderedDict()


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


def wishes_of(sock: StdlibSocket, *, make: bool = False) -> Wishes | None:
    """Return what was asked of the unconnected socket; with ``make``, an entry that will be remembered."""
    fd = GenuineSocket.fileno(sock)
    if fd < 0:
        return None
    inode = os.fstat(fd).st_ino
    if make and inode not in _wishes:
        _wishes[inode] = Wishes()
        while len(_wishes) > MAX_WISHES:
            _wishes.popitem(last=False)
    return _wishes.get(inode)


def check_kind(family: int, type: int, proto: int) -> None:
    """Refuse the kinds of AF_INET and AF_INET6 sockets that the module does not have.

    Raises:
        OSError: EOPNOTSUPP for raw and other sockets that are neither TCP nor UDP.
    """
    if family not in INET_FAMILIES:
        return
    kind = type & ~(getattr(_socket_module, "SOCK_NONBLOCK", 0) | getattr(_socket_module, "SOCK_CLOEXEC", 0))
    # 262 is IPPROTO_MPTCP: over the module it is plain TCP, as where the peer does not know it.
    protocols = {SOCK_STREAM: (0, _socket_module.IPPROTO_TCP, 262), SOCK_DGRAM: (0, _socket_module.IPPROTO_UDP)}
    if proto not in protocols.get(_socket_module.SocketKind(kind), ()):
        raise unsupported(f"a socket of type {kind} and protocol {proto}")


def make_datagram_channel(sock: StdlibSocket, route: Route, *, is_new: bool = False) -> DatagramChannel:
    """Put a datagram channel on the socket's fd; what ``route`` covers still goes out of the OS socket."""
    return DatagramChannel(sock, None if route.bypass == NOTHING else route.covers, is_new=is_new)


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
        and _is_loopback(_native_host(sock))
    )


def _is_loopback(host: str) -> bool:
    """Return whether ``host`` is a loopback address or a name for it; the wildcard is not."""
    literal = parse_literal(host)
    return is_local_name(host) if literal is None else not literal.is_unspecified and LOOPBACK.covers(host)


def _native_host(sock: StdlibSocket) -> str:
    """Return the address that the operating system bound the socket to."""
    name = GenuineSocket.getsockname(sock)
    return str(name[0]) if name else ""


# ---- connecting


def connect(sock: StdlibSocket, route: Route, address: Any, /) -> None:
    """Like :meth:`socket.socket.connect`; differs: the name is looked up by the module, within the socket's timeout.

    Raises:
        OSError: EMFILE when the module's five connections are in use, ECONNREFUSED, EISCONN, ... as from the
            operating system.
        TimeoutError: the socket's timeout has passed; the attempt is given up in the module, too.
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
    wishes = wishes_of(sock) or Wishes()
    local_port = wishes.local.port if wishes.local else 0
    check_local(sock, route, address.host)
    engine = route.modem.engine
    channel = StreamChannel(sock, address.sockaddr(), local_port)
    try:
        if wishes.rai:
            channel.set_option("rai", wishes.rai)
        channel.outcome = engine.connect(channel, address.wire_host, address.port, local_port)
        with suppress(TypeError):  # a class of the program's whose sockets have no hash
            _reasons[sock] = channel.reason
        # At once, so that what other threads do with the socket meanwhile (shutdown, poll, close) is as natively.
        channel.install(sock)
    except BaseException:
        engine.abandon(channel)
        raise
    if timeout == 0:
        raise os_error(errno.EINPROGRESS)
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
            raise os_error(errno.EISCONN)
        return False
    if channel.state is State.CONNECTING and timeout is None and channel.engine is not None:
        _wait_until_connected(channel, sock, timeout, errno.EALREADY)
        return True
    if channel.state is State.CONNECTING:
        raise os_error(errno.EALREADY)
    if channel.state is not State.FAILED:
        raise os_error(errno.EISCONN)
    pending = channel.pop_error()
    channel.restore(sock)
    if pending:
        raise os_error(pending)
    return False


def _wait_until_connected(channel: StreamChannel, sock: StdlibSocket, timeout: float | None, bound_error: int) -> None:
    """Wait for the outcome of an attempt.

    SO_SNDTIMEO bounds the wait of a socket without a timeout and leaves the attempt under way: ``bound_error``. After
    every other exception the socket is an unconnected one again, and the module's attempt is given up.
    """
    assert channel.outcome is not None, "the attempt is under way"
    bound = _send_timeout(sock) if timeout is None else None
    try:
        channel.outcome.result(bound if timeout is None else timeout)
    except BaseException as error:
        if bound is not None and isinstance(error, TimeoutError) and not channel.outcome.done():
            raise os_error(bound_error) from None
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

    Where even loopback goes over the modem, a loopback address stands for the module's own, which is not known before.
    """
    local = _native_host(sock)
    is_inside = _is_loopback(local) and LOOPBACK.covers(host) and not route.covers(local)
    if local not in _WILDCARDS and not is_inside:
        raise os_error(errno.EADDRNOTAVAIL, f"the socket is bound to {local}, which is not an address of the module")


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


# ---- addresses


def bind(sock: StdlibSocket, route: Route, address: Any, /) -> None:
    """Like :meth:`socket.socket.bind`; no traffic; the port is the module's local port of the coming connection.

    Raises:
        OSError: EADDRNOTAVAIL for an address that is not the wildcard (nor bypassed), EINVAL when already bound.
    """
    if not is_inet(sock):
        return GenuineSocket.bind(sock, address)
    if type_of(sock) == SOCK_DGRAM:
        return _bind_datagram(sock, route, address)
    if stream_channel(sock) is not None:
        raise os_error(errno.EINVAL)
    if route.keeps_listeners:
        GenuineSocket.bind(sock, _without_name(sock, address))
        local = parse_address(family_of(sock), address, "bind")
    else:
        local = _wildcard(sock, address)
        audit("socket.bind", sock, address)
    stands_for_module = local.is_wildcard or (_is_loopback(local.host) and not route.covers(local.host))
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
        raise os_error(errno.EADDRNOTAVAIL, f"cannot bind to {local.host}: the network gives the module's address")
    return local


def _remember_local(sock: StdlibSocket, local: Address) -> None:
    wishes = wishes_of(sock, make=True)
    if wishes is None:
        raise os_error(errno.EBADF)
    if wishes.local is not None:
        raise os_error(errno.EINVAL)
    wishes.local = local


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
    """Like :meth:`socket.socket.listen`, on the operating system's network only: the module cannot accept connections.

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
        raise os_error(errno.ENOTCONN)
    return channel.peername


def _has_peer(channel: Channel) -> bool:
    """As Linux: after an end the peer is still known, after a reset it is not, which is how ``ssl`` tells."""
    if isinstance(channel, StreamChannel):
        return channel.state in (State.CONNECTED, State.CLOSED) and not channel.was_reset
    return True


def getsockname(sock: StdlibSocket, route: Route, /) -> Any:
    """Like :meth:`socket.socket.getsockname`: the module's address once connected; port 0 unless one was chosen.

    A blocking UDP socket waits up to 30 s for the module to be on the network: programs learn their own address so.
    """
    channel = lookup(GenuineSocket.fileno(sock))
    if isinstance(channel, DatagramChannel):
        timeout = GenuineSocket.gettimeout(sock)
        patience = NAME_TIMEOUT if timeout is None else min(timeout, NAME_TIMEOUT)
        return channel.local_name(0.0 if _is_in_repr() else patience)
    if channel is not None:
        return channel.sockname
    name = GenuineSocket.getsockname(sock)
    wishes = wishes_of(sock) if is_inet(sock) and name[1] == 0 else None
    return wishes.local.sockaddr() if wishes and wishes.local else name


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
    """Like :meth:`socket.socket.shutdown`; differs: the module has no half-close.

    After SHUT_WR the connection stays readable until the peer closes it or the linger time is over.
    """
    channel = lookup(GenuineSocket.fileno(sock))
    if isinstance(channel, StreamChannel):
        return channel.shutdown(sock, how)
    if isinstance(channel, DatagramChannel) and not channel.is_connected:
        raise os_error(errno.ENOTCONN)
    return GenuineSocket.shutdown(sock, how)


def real_close(sock: StdlibSocket, route: Route, /, *args: Any) -> None:
    """What ``close()`` of the socket, or of its last file object, comes to.

    With a positive SO_LINGER it returns when everything is acknowledged, or after so many seconds; whatever the
    socket's time-out, as on Linux. What is left then is dropped.
    """
    channel = None if sys.is_finalizing() else stream_channel(sock)
    linger = channel.linger if channel is not None and channel.state in (State.CONNECTED, State.CLOSED) else None
    GenuineSocket.close(sock)
    if channel is not None and channel.engine is not None and linger:
        channel.engine.linger(channel, linger)


#: The methods of ``socket.socket`` that are implemented here.
CALLS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (connect, connect_ex, bind, listen, getpeername, getsockname, shutdown)
}
CALLS["_real_close"] = real_close
