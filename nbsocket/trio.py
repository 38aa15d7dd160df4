"""trio over the modem without ``patch()``: call :func:`install` first in the main task of ``trio.run``.

Needs the extra ``trio``. Where ``patch()`` is in force trio goes over the modem already, and none of this is needed.
"""

from __future__ import annotations

import os
import select
import socket as _socket_module
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import trio
import trio.abc
from trio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled

from nbsocket._errors import make_error
from nbsocket._modem import Modem
from nbsocket._routing import _resolver
from nbsocket._routing._addresses import INET_FAMILIES, parse_literal
from nbsocket._routing._route import Route
from nbsocket._sockets._socket import socket

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

__all__ = ["HostnameResolver", "SocketFactory", "SocketType", "install"]

T = TypeVar("T")


def install(modem: Modem | None = None) -> None:
    """Make the rest of this ``trio.run`` use the modem: its sockets, streams and look-ups.

    Args:
        modem: by default the process's, see :func:`nbsocket.configure`.
    Raises:
        RuntimeError: not inside ``trio.run``.
    """
    trio.socket.set_custom_socket_factory(SocketFactory(modem))
    trio.socket.set_custom_hostname_resolver(HostnameResolver(modem))


class SocketFactory(trio.abc.SocketFactory):
    """Makes the sockets of ``trio.socket.socket()``; other families than AF_INET and AF_INET6 are as ever."""

    def __init__(self, modem: Modem | None = None) -> None:
        self._modem = modem

    def socket(
        self,
        family: _socket_module.AddressFamily | int = _socket_module.AF_INET,
        type: _socket_module.SocketKind | int = _socket_module.SOCK_STREAM,
        proto: int = 0,
    ) -> SocketType:
        """Make one; see :class:`nbsocket.socket`."""
        return SocketType(socket(int(family), int(type), proto, modem=self._modem))


class HostnameResolver(trio.abc.HostnameResolver):
    """Looks names up through the modem, in a thread that is left alone when the task is cancelled."""

    def __init__(self, modem: Modem | None = None) -> None:
        self._route = Route(own_modem=modem)

    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Like :func:`nbsocket.getaddrinfo`."""

        def ask() -> Any:
            return _resolver.getaddrinfo(self._route, host, port, family, type, proto, flags)

        return await trio.to_thread.run_sync(ask, abandon_on_cancel=True)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Like :func:`nbsocket.getnameinfo`, which asks nobody."""
        await checkpoint()
        return _resolver.getnameinfo(self._route, sockaddr, flags)


class SocketType(trio.socket.SocketType):
    """One socket over the modem, as trio's own are: the same methods, cancellable.

    A cancelled ``connect()`` closes the socket, and frees the modem's.
    """

    def __init__(self, sock: socket) -> None:
        """Take ``sock`` over; it is made non-blocking."""
        sock.setblocking(False)
        self._sock = sock
        self._has_shut_down = False

    def __repr__(self) -> str:
        return repr(self._sock).replace("nbsocket.socket", "nbsocket.trio.SocketType")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- what never waits

    @property
    def family(self) -> _socket_module.AddressFamily:
        """As given when it was made."""
        return self._sock.family

    @property
    def type(self) -> _socket_module.SocketKind:
        """As given when it was made."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """As given when it was made."""
        return self._sock.proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """Whether ``shutdown()`` ended the sending direction."""
        return self._has_shut_down

    def detach(self) -> int:
        """See :meth:`nbsocket.socket.detach`."""
        return self._sock.detach()

    def fileno(self) -> int:
        """The fd; -1 when closed."""
        return self._sock.fileno()

    def getpeername(self) -> Any:
        """See :meth:`nbsocket.socket.getpeername`."""
        return self._sock.getpeername()

    def getsockname(self) -> Any:
        """See :meth:`nbsocket.socket.getsockname`."""
        return self._sock.getsockname()

    def getsockopt(self, /, level: int, optname: int, buflen: int | None = None) -> Any:
        """See :meth:`nbsocket.socket.getsockopt`."""
        return self._sock.getsockopt(level, optname, *(() if buflen is None else (buflen,)))

    def setsockopt(self, /, level: int, optname: int, value: Any, optlen: int | None = None) -> None:
        """See :meth:`nbsocket.socket.setsockopt`."""
        self._sock.setsockopt(level, optname, value, *(() if optlen is None else (optlen,)))

    def listen(self, backlog: int = 128) -> None:
        """Refused, EOPNOTSUPP: the modem cannot accept connections."""
        self._sock.listen(backlog)

    def get_inheritable(self) -> bool:
        """See :meth:`socket.socket.get_inheritable`."""
        return self._sock.get_inheritable()

    def set_inheritable(self, inheritable: bool) -> None:
        """See :meth:`socket.socket.set_inheritable`."""
        self._sock.set_inheritable(inheritable)

    def dup(self) -> SocketType:
        """See :meth:`nbsocket.socket.dup`."""
        return SocketType(self._sock.dup())

    def close(self) -> None:
        """Close it; tasks that wait for it get ``trio.ClosedResourceError``."""
        if self._sock.fileno() != -1:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

    def shutdown(self, flag: int) -> None:
        """See :meth:`nbsocket.socket.shutdown`."""
        self._sock.shutdown(flag)
        if flag in (_socket_module.SHUT_WR, _socket_module.SHUT_RDWR):
            self._has_shut_down = True

    def is_readable(self) -> bool:
        """Return whether there is something to receive, or the end."""
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        return bool(poller.poll(0))

    # ---- what waits

    async def wait_writable(self) -> None:
        """Wait until something can be sent."""
        await trio.lowlevel.wait_writable(self._sock)

    async def bind(self, address: Any) -> None:
        """See :meth:`nbsocket.socket.bind`."""
        await checkpoint()
        self._sock.bind(await self._resolved(address))

    async def accept(self) -> tuple[SocketType, Any]:
        """Refused: the modem cannot accept connections."""
        await checkpoint()
        connection, address = self._sock.accept()
        return SocketType(socket(fileno=connection.detach())), address

    async def connect(self, address: Any) -> None:
        """Connect; cancelled or failed, the socket is closed or as after a failed connect of trio's own."""
        try:
            target = await self._resolved(address)
            await checkpoint_if_cancelled()
            try:
                self._sock.connect(target)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._sock)
            else:
                await cancel_shielded_checkpoint()
        except trio.Cancelled:
            self.close()
            raise
        number = self._sock.getsockopt(_socket_module.SOL_SOCKET, _socket_module.SO_ERROR)
        if number:
            raise make_error(number, f"Error connecting to {target!r}: {os.strerror(number)}")

    async def _resolved(self, address: Any) -> Any:
        """Return the address with its name looked up, without blocking; wrong ones fail where they are used."""
        if self.family not in INET_FAMILIES or not isinstance(address, tuple) or len(address) < 2:
            return address
        host = address[0]
        if not isinstance(host, str) or not host or parse_literal(host) is not None:
            return address
        found = await trio.socket.getaddrinfo(host, address[1], self.family, self.type, self.proto)
        return (*found[0][4][:2], *address[2:])

    async def recv(self, buflen: int, flags: int = 0, /) -> bytes:
        """See :meth:`nbsocket.socket.recv`."""
        return await self._retry(trio.lowlevel.wait_readable, self._sock.recv, buflen, flags)

    async def recv_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> int:
        """See :meth:`nbsocket.socket.recv_into`."""
        return await self._retry(trio.lowlevel.wait_readable, self._sock.recv_into, buffer, nbytes, flags)

    async def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """See :meth:`nbsocket.socket.recvfrom`."""
        return await self._retry(trio.lowlevel.wait_readable, self._sock.recvfrom, bufsize, flags)

    async def recvfrom_into(self, buffer: Buffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """See :meth:`nbsocket.socket.recvfrom_into`."""
        return await self._retry(trio.lowlevel.wait_readable, self._sock.recvfrom_into, buffer, nbytes, flags)

    async def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> tuple[bytes, list[Any], int, Any]:
        """See :meth:`nbsocket.socket.recvmsg`."""
        return await self._retry(trio.lowlevel.wait_readable, self._sock.recvmsg, bufsize, ancbufsize, flags)

    async def recvmsg_into(
        self, buffers: Iterable[Buffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[Any], int, Any]:
        """See :meth:`nbsocket.socket.recvmsg_into`."""
        kept = list(buffers)
        return await self._retry(trio.lowlevel.wait_readable, self._sock.recvmsg_into, kept, ancbufsize, flags)

    async def send(self, bytes: Buffer, flags: int = 0, /) -> int:
        """See :meth:`nbsocket.socket.send`."""
        return await self._retry(trio.lowlevel.wait_writable, self._sock.send, bytes, flags)

    async def sendto(self, *args: Any) -> int:
        """See :meth:`nbsocket.socket.sendto`."""
        # Wrong numbers of arguments are refused by the socket itself.
        resolved = (*args[:-1], await self._resolved(args[-1])) if len(args) in (2, 3) else args
        return await self._retry(trio.lowlevel.wait_writable, self._sock.sendto, *resolved)

    async def sendmsg(
        self, buffers: Iterable[Buffer], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None, /
    ) -> int:
        """See :meth:`nbsocket.socket.sendmsg`."""
        target = None if address is None else await self._resolved(address)
        kept = list(buffers)
        return await self._retry(trio.lowlevel.wait_writable, self._sock.sendmsg, kept, list(ancdata), flags, target)

    async def _retry(self, wait: Callable[[socket], Awaitable[None]], call: Callable[..., T], *args: Any) -> T:
        """Do ``call`` as soon as it does not block; always a checkpoint."""
        await checkpoint_if_cancelled()
        try:
            value = call(*args)
        except BlockingIOError:
            pass
        except BaseException:
            await cancel_shielded_checkpoint()
            raise
        else:
            await cancel_shielded_checkpoint()
            return value
        while True:
            await wait(self._sock)
            try:
                return call(*args)
            except BlockingIOError:
                continue
