"""The calls that carry data.

Streams pass straight through to the C functions, for the data on their fd is the connection's own. A datagram socket
that is not connected has an address in front of each datagram on its fd; it is put there and taken away here.
"""

from __future__ import annotations

import errno
import operator
import select
import socket as _socket_module
import sys
from collections.abc import Callable, Iterable
from socket import SOCK_STREAM
from typing import Any

from nbsocket._channel import MAX_FRAME, DatagramChannel, lookup
from nbsocket._errors import make_error
from nbsocket._routing._addresses import check_destination, parse_address, unsupported
from nbsocket._routing._audit import audit
from nbsocket._routing._route import Route
from nbsocket._runtime._handlers import is_in_handler
from nbsocket._runtime._stdlib import GenuineSocket, StdlibSocket
from nbsocket._runtime._threads import check_may_wait, is_own
from nbsocket._sockets._connect import Target, check_local, target_of
from nbsocket._sockets._kinds import (
    datagram_channel,
    family_of,
    is_inet,
    make_datagram_channel,
    stream_channel,
    type_of,
)

_MSG_OOB: int = _socket_module.MSG_OOB
_MSG_FASTOPEN: int = getattr(_socket_module, "MSG_FASTOPEN", 0)
_MSG_TRUNC: int = getattr(_socket_module, "MSG_TRUNC", 0)
#: Whether MSG_TRUNC makes the kernel tell the real size of a datagram, as Linux does.
_TELLS_REAL_SIZE = sys.platform == "linux"


def _framed(sock: StdlibSocket, flags: int = 0) -> DatagramChannel | None:
    """Return the channel of a socket whose datagrams carry addresses; None where the C function does it all.

    Raises:
        OSError: EOPNOTSUPP for urgent data on a connection over the modem.
    """
    if type_of(sock) == SOCK_STREAM:
        if flags & _MSG_OOB and stream_channel(sock) is not None:
            raise unsupported("urgent data (MSG_OOB)")
        return None
    channel = datagram_channel(sock)
    return None if channel is None or channel.is_connected else channel


def _refuse_to_wait(sock: StdlibSocket, event: int) -> None:
    """On a thread of the library's (in a ``__del__``, say) a call that waits for the modem would never return.

    Raises:
        OSError: EDEADLK, the call would wait.
    """
    fd = GenuineSocket.fileno(sock)
    if lookup(fd) is None or GenuineSocket.gettimeout(sock) == 0:
        return
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(0):
        check_may_wait()


def _check_datagram(sock: StdlibSocket, size: int) -> None:
    """Raise EMSGSIZE when the connected socket's datagram is too long for the modem."""
    if type_of(sock) != SOCK_STREAM and (channel := datagram_channel(sock)) is not None and channel.peername:
        channel.check_size(size, channel.peername)


# ---- sending


def _note_sender(sock: StdlibSocket) -> None:
    """Note on the channel that a handler of logging sends: what the modem has to say about it is not logged.

    Raises:
        OSError: EDEADLK, as :func:`_refuse_to_wait`.
    """
    if is_own():
        _refuse_to_wait(sock, select.POLLOUT)
    if is_in_handler() and (channel := lookup(GenuineSocket.fileno(sock))) is not None:
        channel.is_for_logs = True


def send(sock: StdlibSocket, route: Route, data: Any, flags: int = 0, /) -> int:
    """Like :meth:`socket.socket.send`; a datagram over the modem's segment is EMSGSIZE."""
    _note_sender(sock)
    if _framed(sock, flags) is not None:
        raise make_error(errno.EDESTADDRREQ)
    _check_datagram(sock, _view(data).nbytes)
    return GenuineSocket.send(sock, data, flags)


def sendall(sock: StdlibSocket, route: Route, data: Any, flags: int = 0, /) -> None:
    """Like :meth:`socket.socket.sendall`."""
    _note_sender(sock)
    if _framed(sock, flags) is not None:
        raise make_error(errno.EDESTADDRREQ)
    _check_datagram(sock, _view(data).nbytes)
    return GenuineSocket.sendall(sock, data, flags)


def _view(data: Any) -> memoryview:
    """Return a view of ``data``, or raise the TypeError of the C functions."""
    try:
        return memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__!r}") from None


def sendto(sock: StdlibSocket, route: Route, data: Any, /, *flags_and_address: Any) -> int:
    """Like :meth:`socket.socket.sendto`; names are looked up by the modem."""
    if len(flags_and_address) not in (1, 2):
        raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(flags_and_address)} given)")
    flags = flags_and_address[0] if len(flags_and_address) == 2 else 0
    address = flags_and_address[-1]
    if not is_inet(sock):
        return GenuineSocket.sendto(sock, data, flags, address)
    if type_of(sock) == SOCK_STREAM:
        _check_stream_address(sock, route, flags, address, "sendto")
        audit("socket.sendto", sock, address)
        return send(sock, route, data, flags)
    return _send_datagram(sock, route, _view(data).tobytes(), flags, address, "sendto")


def sendmsg(
    sock: StdlibSocket,
    route: Route,
    buffers: Iterable[Any],
    ancdata: Iterable[Any] = (),
    flags: int = 0,
    address: Any = None,
    /,
) -> int:
    """Like :meth:`socket.socket.sendmsg`; ancillary data is EINVAL over the modem."""
    ancillary = list(ancdata)
    _check_ancillary(ancillary)
    if not is_inet(sock):
        return GenuineSocket.sendmsg(sock, buffers, ancillary, flags, *(() if address is None else (address,)))
    _note_sender(sock)
    is_stream = type_of(sock) == SOCK_STREAM
    channel = stream_channel(sock) if is_stream else datagram_channel(sock)
    if ancillary and channel is not None:
        raise make_error(errno.EINVAL, "ancillary data cannot go over the module")
    if is_stream:
        if address is not None:
            _check_stream_address(sock, route, flags, address, "sendmsg")
            audit("socket.sendmsg", sock, address)
            if not ancillary:
                return send(sock, route, b"".join(buffers), flags)
        _framed(sock, flags)
        return GenuineSocket.sendmsg(sock, buffers, ancillary, flags)
    if channel is None and (address is None or ancillary):
        return GenuineSocket.sendmsg(sock, buffers, ancillary, flags, *(() if address is None else (address,)))
    data = b"".join(buffers)
    if address is None:
        audit("socket.sendmsg", sock, address)
        return send(sock, route, data, flags)
    return _send_datagram(sock, route, data, flags, address, "sendmsg")


def _check_ancillary(items: Iterable[Any]) -> None:
    """Raise the TypeError of the C function for what is no ancillary data, before the OSError for what is."""
    for item in items:
        if not isinstance(item, tuple) or len(item) != 3:
            raise TypeError("[sendmsg() ancillary data items]() argument must be 3-item sequence")
        operator.index(item[0])
        operator.index(item[1])
        _view(item[2])


def _check_stream_address(sock: StdlibSocket, route: Route, flags: int, address: Any, call: str) -> None:
    """TCP ignores the address of a send, except that MSG_FASTOPEN would connect, and past the modem."""
    parse_address(family_of(sock), address, call)
    if flags & _MSG_FASTOPEN and stream_channel(sock) is None:
        target_of(sock, route, address, call)
        raise unsupported("TCP fast open")


def _send_datagram(sock: StdlibSocket, route: Route, data: bytes, flags: int, address: Any, call: str) -> int:
    if flags & _MSG_OOB:
        raise unsupported("urgent data (MSG_OOB)")
    target = target_of(sock, route, address, call)
    channel = datagram_channel(sock)
    if channel is None:
        if target.native is not None:
            return GenuineSocket.sendto(sock, data, flags, target.native)
        check_local(sock, route, target.address.host)
        channel = make_datagram_channel(sock, route)
    if target.native is None:
        audit(f"socket.{call}", sock, address)
    if channel.is_connected:
        return _send_to_peer(sock, route, channel, data, flags, target)
    if target.native is None:
        check_destination(target.address, call=call)
    route.modem.engine.attach(channel)
    GenuineSocket.send(sock, channel.pack(data, target.address.sockaddr()), flags)
    return len(data)


def _send_to_peer(
    sock: StdlibSocket, route: Route, channel: DatagramChannel, data: bytes, flags: int, target: Target
) -> int:
    """A connected socket's fd carries no addresses, so it can reach its own peer alone (as on macOS)."""
    if channel.peername is None or target.address.sockaddr()[:2] != channel.peername[:2]:
        raise make_error(errno.EISCONN)
    return send(sock, route, data, flags)


# ---- receiving


def _receiving(sock: StdlibSocket, flags: int) -> DatagramChannel | None:
    """As :func:`_framed`, for a call that may wait for data."""
    if is_own():
        _refuse_to_wait(sock, select.POLLIN)
    return _framed(sock, flags)


def recv(sock: StdlibSocket, route: Route, bufsize: int, flags: int = 0, /) -> bytes:
    """Like :meth:`socket.socket.recv`."""
    channel = _receiving(sock, flags)
    if channel is None:
        return GenuineSocket.recv(sock, bufsize, flags)
    if bufsize == 0:
        return b""  # as the C function: the datagram stays
    data, _, size = _receive(sock, channel, bufsize, flags, "recv")
    return _of_told_size(data, size, flags)


def recvfrom(sock: StdlibSocket, route: Route, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
    """Like :meth:`socket.socket.recvfrom`: the peer's address is its textual IP and port."""
    channel = _receiving(sock, flags)
    if channel is not None:
        data, address, size = _receive(sock, channel, bufsize, flags, "recvfrom")
        return _of_told_size(data, size, flags), address
    data, address = GenuineSocket.recvfrom(sock, bufsize, flags)
    return data, _connected_peer(sock, address)


def recv_into(sock: StdlibSocket, route: Route, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
    """Like :meth:`socket.socket.recv_into`."""
    channel = _receiving(sock, flags)
    if channel is None:
        return GenuineSocket.recv_into(sock, buffer, nbytes, flags)
    if nbytes == 0 and memoryview(buffer).nbytes == 0:
        return 0
    return _receive_into(sock, channel, buffer, nbytes, flags, "recv_into")[0]


def recvfrom_into(sock: StdlibSocket, route: Route, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
    """Like :meth:`socket.socket.recvfrom_into`."""
    channel = _receiving(sock, flags)
    if channel is not None:
        return _receive_into(sock, channel, buffer, nbytes, flags, "recvfrom_into")
    size, address = GenuineSocket.recvfrom_into(sock, buffer, nbytes, flags)
    return size, _connected_peer(sock, address)


def recvmsg(
    sock: StdlibSocket, route: Route, bufsize: int, ancbufsize: int = 0, flags: int = 0, /
) -> tuple[bytes, list[Any], int, Any]:
    """Like :meth:`socket.socket.recvmsg`; there is no ancillary data."""
    channel = _receiving(sock, flags)
    if channel is not None:
        data, address, size = _receive(sock, channel, bufsize, flags, "recvmsg")
        return data, [], _MSG_TRUNC if size > len(data) else 0, address
    data, ancillary, msg_flags, address = GenuineSocket.recvmsg(sock, bufsize, ancbufsize, flags)
    return data, ancillary, msg_flags, _connected_peer(sock, address)


def recvmsg_into(
    sock: StdlibSocket, route: Route, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0, /
) -> tuple[int, list[Any], int, Any]:
    """Like :meth:`socket.socket.recvmsg_into`; there is no ancillary data."""
    channel = _receiving(sock, flags)
    if channel is None:
        size, ancillary, msg_flags, address = GenuineSocket.recvmsg_into(sock, buffers, ancbufsize, flags)
        return size, ancillary, msg_flags, _connected_peer(sock, address)
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    data, address, size = _receive(sock, channel, sum(map(len, views)), flags, "recvmsg_into")
    rest = memoryview(data)
    for view in views:
        piece = rest[: len(view)]
        view[: len(piece)] = piece
        rest = rest[len(piece) :]
    return _told_size(data, size, flags), [], _MSG_TRUNC if size > len(data) else 0, address


def _told_size(data: bytes, size: int, flags: int) -> int:
    """What a call returns as the size of a datagram: with MSG_TRUNC the real one, though it did not fit."""
    return size if flags & _MSG_TRUNC and _TELLS_REAL_SIZE else len(data)


def _of_told_size(data: bytes, size: int, flags: int) -> bytes:
    """The C functions return so many bytes; what did not fit is undefined there, and zeros here."""
    return data.ljust(_told_size(data, size, flags), b"\0")


def _receive(sock: StdlibSocket, channel: DatagramChannel, size: int, flags: int, call: str) -> tuple[bytes, Any, int]:
    """Take one datagram off the fd: (payload of at most ``size`` bytes, address, its real size)."""
    if flags & _MSG_OOB:
        raise unsupported("urgent data (MSG_OOB)")
    if size < 0:
        raise ValueError(f"negative buffersize in {call}")
    frame, rest = _receive_frame(sock, size + channel.HEADER_MAX, flags)
    if not frame:
        raise make_error(errno.ENETDOWN, "the modem was closed")
    payload, address = channel.unpack(frame)
    return payload[:size], address, len(payload) + rest


def _receive_frame(sock: StdlibSocket, size: int, flags: int) -> tuple[bytes, int]:
    """Return up to ``size`` bytes of the next frame, and, with MSG_TRUNC, how many more it had."""
    if not (flags & _MSG_TRUNC and _TELLS_REAL_SIZE):
        return GenuineSocket.recv(sock, size, flags & ~_MSG_TRUNC), 0
    buffer = bytearray(min(size, MAX_FRAME))
    frame_size = GenuineSocket.recv_into(sock, buffer, 0, flags)
    return bytes(memoryview(buffer)[:frame_size]), max(0, frame_size - len(buffer))


def _receive_into(
    sock: StdlibSocket, channel: DatagramChannel, buffer: Any, nbytes: int, flags: int, call: str
) -> tuple[int, Any]:
    view = memoryview(buffer).cast("B")
    if nbytes < 0:
        raise ValueError(f"negative buffersize in {call}")
    if nbytes > len(view):
        raise ValueError("nbytes is greater than the length of the buffer")
    data, address, size = _receive(sock, channel, nbytes or len(view), flags, call)
    view[: len(data)] = data
    return _told_size(data, size, flags), address


def _connected_peer(sock: StdlibSocket, address: Any) -> Any:
    """A pair's end tells no address of its other end: say the peer's, as UDP does."""
    channel = datagram_channel(sock)
    return address if channel is None else channel.peername


#: The methods of ``socket.socket`` that are implemented here.
DATA_METHODS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        send, sendall, sendto, sendmsg, recv, recvfrom, recv_into, recvfrom_into, recvmsg, recvmsg_into
    )
}  # fmt: skip
