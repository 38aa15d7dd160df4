"""The class ``nbsocket.socket``: a real ``socket.socket`` whose connections go over a modem."""

from __future__ import annotations

import socket as _socket_module
import sys
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, SupportsIndex

from nbsocket._channel import lookup
from nbsocket._routing._addresses import INET_FAMILIES, unsupported
from nbsocket._routing._route import Route
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket
from nbsocket._sockets import _connect, _data, _kinds, _methods, _options

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

    from nbsocket._modem import Modem

_DEFAULT_ROUTE = Route()


class socket(StdlibSocket):
    """Like :class:`socket.socket`; differs: AF_INET and AF_INET6 sockets reach the network through a modem.

    Connections and datagrams travel through the modem's TCP/IP stack; the object's fd is a real one, so select,
    poll, epoll, ssl and event loops work on it. Sockets of other families, and adopted fds (``fileno=``) that are
    connected already, are the operating system's as ever.

    Args:
        family, type, proto, fileno: as for :class:`socket.socket`; TCP and UDP only.
        modem: the modem; by default the process's, see :func:`nbsocket.configure`. No traffic before connect or the
            first send.
    Raises:
        OSError: EOPNOTSUPP for raw sockets and other protocols.
    """

    __slots__ = ("_route",)
    _route: Route

    def __init__(
        self,
        family: int = -1,
        type: int = -1,
        proto: int = -1,
        fileno: int | None = None,
        *,
        modem: Modem | None = None,
    ) -> None:
        self._route = _DEFAULT_ROUTE if modem is None else Route(own_modem=modem)
        if fileno is not None:
            super().__init__(*known_kind(fileno, family, type, proto), fileno)
            return
        family = _socket_module.AF_INET if family == -1 else family
        type = _socket_module.SOCK_STREAM if type == -1 else type
        proto = max(proto, 0)
        _kinds.check_kind(family, type, proto)
        super().__init__(family, type, proto)
        if family in INET_FAMILIES and self.type == _socket_module.SOCK_DGRAM:
            attach_datagrams(self, self._route)

    def dup(self) -> Self:
        """Like :meth:`socket.socket.dup`; the copy uses the same modem."""
        copy = super().dup()
        copy._route = self._route
        return copy

    def detach(self) -> int:
        """Like :meth:`socket.socket.detach`; differs: an unconnected stream socket cannot be detached.

        Its fd is still an ordinary socket of the operating system, which would connect to the host's network.

        Raises:
            OSError: EOPNOTSUPP.
        """
        if self.fileno() >= 0 and _kinds.is_inet(self) and lookup(self.fileno()) is None and not self._is_native():
            _disown(sys._getframe(1), self)
            raise unsupported("detaching an unconnected socket (patch() can wrap one in TLS before it is connected)")
        return super().detach()

    def _is_native(self) -> bool:
        """Return whether the fd is a connected socket of the operating system that was adopted."""
        try:
            GenuineSocket.getpeername(self)
        except OSError:
            return False
        return True

    def connect(self, address: Any, /) -> None:
        _connect.connect(self, self._route, address)

    def connect_ex(self, address: Any, /) -> int:
        return _connect.connect_ex(self, self._route, address)

    def bind(self, address: Any, /) -> None:
        _methods.bind(self, self._route, address)

    def listen(self, backlog: int = 128, /) -> None:
        _methods.listen(self, self._route, backlog)

    def getpeername(self) -> Any:
        return _methods.getpeername(self, self._route)

    def getsockname(self) -> Any:
        return _methods.getsockname(self, self._route)

    def shutdown(self, how: int, /) -> None:
        _methods.shutdown(self, self._route, how)

    def _real_close(self, *args: Any) -> None:
        _methods.real_close(self, self._route)

    def setsockopt(self, level: int, optname: int, /, *value: Any) -> None:
        _options.setsockopt(self, self._route, level, optname, *value)

    def getsockopt(self, level: int, optname: int, /, *buflen: int) -> Any:
        return _options.getsockopt(self, self._route, level, optname, *buflen)

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        return _data.send(self, self._route, data, flags)

    def sendall(self, data: Buffer, flags: int = 0, /) -> None:
        return _data.sendall(self, self._route, data, flags)

    def sendto(self, data: Buffer, /, *flags_and_address: Any) -> int:
        return _data.sendto(self, self._route, data, *flags_and_address)

    def sendmsg(
        self, buffers: Iterable[Buffer], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None, /
    ) -> int:
        return _data.sendmsg(self, self._route, buffers, ancdata, flags, address)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        return _data.recv(self, self._route, bufsize, flags)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        return _data.recvfrom(self, self._route, bufsize, flags)

    def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        return _data.recv_into(self, self._route, buffer, nbytes, flags)

    def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        return _data.recvfrom_into(self, self._route, buffer, nbytes, flags)

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> tuple[bytes, list[Any], int, Any]:
        return _data.recvmsg(self, self._route, bufsize, ancbufsize, flags)

    def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[Any], int, Any]:
        return _data.recvmsg_into(self, self._route, buffers, ancbufsize, flags)


socket.__module__ = "nbsocket"


def _disown(caller: FrameType, sock: StdlibSocket) -> None:
    """Take the fd away from an object that adopted it just before it asked for detach().

    ``SSLSocket._create`` does so in this order: refused, it would later close a number that is another's by then.
    """
    for value in list(caller.f_locals.values()):
        if isinstance(value, GenuineSocket) and value is not sock and value.fileno() == sock.fileno():
            GenuineSocket.detach(value)


def known_kind(fileno: SupportsIndex, family: int, type: int, proto: int) -> tuple[int, int, int]:
    """Return family, type and proto of an adopted fd; what is left open (-1) its channel tells."""
    channel = lookup(fileno.__index__()) if hasattr(fileno, "__index__") else None
    if channel is None:
        return family, type, proto
    return (
        channel.family if family == -1 else family,
        channel.type if type == -1 else type,
        channel.proto if proto == -1 else proto,
    )


def attach_datagrams(sock: StdlibSocket, route: Route) -> None:
    """Give a new UDP socket its channel; the socket is closed when that fails."""
    try:
        _kinds.make_datagram_channel(sock, route, is_new=True)
    except BaseException:
        GenuineSocket.close(sock)
        raise
