"""A UDP socket's engine end.

One socket pair carries the datagrams of all peers (SOCK_SEQPACKET where there is one: it keeps boundaries and has an
end of file). Unconnected, each frame begins with a header that names the other side, which the socket's overridden
methods add and strip; connected, frames are bare payload, so that what reads and writes the descriptor in C works.
Datagrams for bypassed addresses go through the shadow, a real UDP socket.

    frame = port (2 bytes, big-endian), length of host (1 byte), host (ASCII), payload
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from nbsocket._channel import _registry
from nbsocket._channel._base import Address, Channel, ChannelState, unread_size
from nbsocket._errors import make_error
from nbsocket._runtime._stdlib import GenuineSocket

__all__ = ["MAX_FRAME", "DatagramChannel", "Peer"]

#: Host and port as text and number.
Peer = tuple[str, int]

_HEADER = struct.Struct("!HB")

#: Longest host in a header.
_MAX_HOST = 255

#: Received bytes that wait for the application beyond the kernel's buffer, before datagrams are dropped.
QUEUE_LIMIT = 4 * 1024 * 1024

#: What a waiting datagram costs besides its bytes: without it, empty ones could pile up for ever.
_FRAME_COST = 64

#: Largest frame that is read: a UDP datagram's limit and a header.
MAX_FRAME = 65536 + _HEADER.size + _MAX_HOST

_PAIR_TYPE = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM


class DatagramChannel(Channel):
    """One UDP socket."""

    #: How much longer than its payload a frame of an unconnected socket may be.
    HEADER_MAX = _HEADER.size + _MAX_HOST

    def __init__(
        self, sock: socket.socket, bypass: Callable[[str], bool] | None = None, *, is_new: bool = False
    ) -> None:
        """Make the channel and put it over the descriptor of ``sock`` at once; no modem traffic.

        Args:
            sock: the application's datagram socket.
            bypass: tells whether an address text belongs to the operating system's network; None: none does.
            is_new: the socket was made just now, so that it is in no epoll set.
        """
        super().__init__(sock, _PAIR_TYPE)
        self.bypass = bypass
        self.local_port = 0
        #: Datagrams lost on either way.
        self.dropped = 0
        self._queue: deque[bytes] = deque()
        self._queue_size = 0
        self._inbox: deque[tuple[Peer, bytes]] = deque()
        self.shadow.settimeout(0)
        self.state = ChannelState.CONNECTED
        self.swap_in(sock, is_new=is_new)

    @property
    def is_connected(self) -> bool:
        """Whether it has a peer, so that frames are bare payload."""
        return self.peername is not None

    # The application's side.

    def is_bypassed(self, host: str) -> bool:
        """Whether datagrams to this address go over the operating system's network."""
        return self.bypass is not None and self.bypass(host)

    def bind(self, address: Address) -> None:
        """Like :meth:`socket.socket.bind`; differs: the port is only remembered for the modem.

        Where some addresses are bypassed, the system binds it too.

        Raises:
            OSError: EINVAL when it is bound already, or as the system answers.
        """
        if self.local_port:
            raise make_error(errno.EINVAL)
        if self.bypass is not None:
            self.shadow.bind(address)
        # Port 0 leaves the choice to the modem: only a chosen port stays busy there after its close.
        self.local_port = int(address[1])
        port = self.local_port if self.bypass is None else int(self.shadow.getsockname()[1])
        self.sockname = self.make_address(str(address[0]) or str(self.sockname[0]), port)

    def local_name(self, timeout: float) -> Address:
        """Return what ``getsockname`` gives: connected, the modem's address, as far as it is known in time.

        Args:
            timeout: seconds to wait for the modem to be on the network.
        """
        address = self.engine.own_address(timeout) if self.is_connected and self.engine is not None else None
        return self.sockname if address is None else self.make_address(self.in_family(address), self.local_port)

    def connect(self, sock: socket.socket, address: Address | None) -> None:
        """Set or, with None, dissolve the peer. What waits in either direction keeps the peers that it had."""
        if self.engine is None:
            self._set_peer(sock, address)
        else:
            self.engine.run(lambda: self._set_peer(sock, address))

    def _set_peer(self, sock: socket.socket, address: Address | None) -> None:
        self._read_all()
        arrived = self._take_back(sock)
        self.peername = address
        for peer, data in arrived:
            self._deliver(peer, data)

    def check_size(self, size: int, address: Address) -> None:
        """Refuse what one send of the modem cannot carry.

        Raises:
            OSError: EMSGSIZE, or EINVAL for an empty datagram.
        """
        if self.engine is None or self.is_bypassed(str(address[0])):
            return
        if size > self.engine.segment_size:
            limit = self.engine.segment_size
            raise make_error(errno.EMSGSIZE, f"datagram of {size} bytes: the modem sends at most {limit} at once")
        if not size:
            raise make_error(errno.EINVAL, "the modem cannot send an empty datagram")

    def pack(self, data: bytes | bytearray | memoryview, address: Address) -> bytes:
        """Return the frame that sends ``data`` to ``address`` from an unconnected socket.

        Raises:
            OSError: as :meth:`check_size`.
        """
        payload = bytes(data)
        self.check_size(len(payload), address)
        return _pack((str(address[0]), int(address[1])), payload)

    def unpack(self, frame: bytes) -> tuple[bytes, Address]:
        """Return payload and sender of a frame that a native ``recv`` gave."""
        if self.peername is not None:
            return frame, self.peername
        peer, data = _unpack(frame) or (("", 0), frame)
        return data, self.make_address(*peer)

    # The engine's side: its thread only.

    def read(self) -> tuple[Peer, bytes] | None:
        """Return the next datagram that the application sent, or None when there is none now.

        Raises:
            EOFError: the application has closed the socket and everything was read.
        """
        if not self._inbox:
            self._read_one()
        return self._inbox.popleft() if self._inbox else None

    def deliver(self, peer: Peer, data: bytes) -> None:
        """Give a received datagram to the application, or drop and count it when too many wait."""
        self._deliver(peer, data)

    def flush(self) -> None:
        """Go on delivering; the application's end may have room again."""
        self._flush()

    @property
    def wants_write(self) -> bool:
        """Whether something waits for room towards the application."""
        return bool(self._queue) and not self.is_over()

    def is_deserted(self) -> bool:
        """Whether the application has closed it; for channels that no engine watches."""
        if self.engine_end.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self.engine_end.fileno(), 0)
        return bool(poll.poll(0))

    def is_over(self) -> bool:
        """Whether only questions can still come; also of a channel that was never used and is closed."""
        # Asked in this order: while the system is asked, the application may attach it, write and close.
        return super().is_over() or (self.is_deserted() and self.engine is None)

    def finish(self) -> None:
        """Close the engine's end: the application has closed, or reads end of file from here on."""
        self.state = ChannelState.CLOSED
        with suppress(OSError):
            self.engine_end.close()
        _registry.sweep()

    def _read_all(self) -> None:
        with suppress(EOFError):
            while self._read_one():
                pass

    def _read_one(self) -> bool:
        try:
            frame = self._receive()
        except BlockingIOError:
            return False
        except OSError:
            raise EOFError from None
        if not frame and self._is_at_end():
            raise EOFError
        self.bytes_up += len(frame)
        if self.peername is not None:
            self._inbox.append(((str(self.peername[0]), int(self.peername[1])), frame))
            return True
        found = _unpack(frame)
        if found is None:
            self.dropped += 1
        else:
            self._inbox.append(found)
        return True

    def _receive(self) -> bytes:
        try:
            return self.engine_end.recv(MAX_FRAME)
        except ConnectionResetError:
            # Said once, of an application that closed without reading everything: what it wrote is still there.
            return self.engine_end.recv(MAX_FRAME)

    def _is_at_end(self) -> bool:
        poll = select.poll()
        poll.register(self.engine_end.fileno(), 0)
        return bool(poll.poll(0)) and not unread_size(self.engine_end.fileno())

    def _take_back(self, sock: socket.socket) -> list[tuple[Peer, bytes]]:
        """Take what the application has not read yet out of its receive buffer and of the queue."""
        frames: list[bytes] = []
        poll = select.poll()
        poll.register(GenuineSocket.fileno(sock), select.POLLIN)
        with suppress(OSError):
            while any(mask & select.POLLIN and not mask & select.POLLHUP for _, mask in poll.poll(0)):
                frames.append(GenuineSocket.recv(sock, MAX_FRAME, socket.MSG_DONTWAIT))
        frames += self._queue
        self._queue.clear()
        self._queue_size = 0
        if self.peername is None:
            return [found for found in map(_unpack, frames) if found is not None]
        return [((str(self.peername[0]), int(self.peername[1])), frame) for frame in frames]

    def _deliver(self, peer: Peer, data: bytes) -> None:
        if self.peername is not None and peer != (str(self.peername[0]), int(self.peername[1])):
            return
        frame = data if self.peername is not None else _pack(peer, data)
        cost = len(frame) + _FRAME_COST
        if self._queue_size + cost > QUEUE_LIMIT:
            self.dropped += 1
            return
        self.bytes_down += len(data)
        self._queue.append(frame)
        self._queue_size += cost
        self._flush()

    def _flush(self) -> None:
        while self._queue:
            try:
                self.engine_end.send(self._queue[0])
            except BlockingIOError:
                return
            except OSError:
                self._queue.clear()
                self._queue_size = 0
                return
            self._queue_size -= len(self._queue.popleft()) + _FRAME_COST


def _pack(peer: Peer, data: bytes) -> bytes:
    host = peer[0].encode("ascii")
    return _HEADER.pack(peer[1], len(host)) + host + data


def _unpack(frame: bytes) -> tuple[Peer, bytes] | None:
    """Return the other side and the payload, or None when the frame has no sound header."""
    if len(frame) < _HEADER.size:
        return None
    port, size = _HEADER.unpack_from(frame)
    host = frame[_HEADER.size : _HEADER.size + size]
    if len(host) < size or not host.isascii():
        return None
    return (host.decode("ascii"), port), frame[_HEADER.size + size :]
