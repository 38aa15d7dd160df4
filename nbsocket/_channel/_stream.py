"""A TCP connection's engine end.

How things look to the application, all done by the kernel:

- *not connected yet*: its send buffer is full of filler, so nothing reports it writable; the engine discards exactly
  the filler.
- *FIN*: the engine end writes no more: end of file after the data. As over TCP the application's next write goes
  nowhere without an error; then the engine end is emptied and closed: EPIPE.
- *RST*: the engine end is closed while something is unread in it: ECONNRESET after the data. Where nothing is unread,
  a byte is written from the application's side for that purpose: as a trailer when it shuts its direction down, else
  through a duplicate of its descriptor.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
from collections import deque
from contextlib import suppress
from typing import Any

from nbsocket._channel import _registry
from nbsocket._channel._base import Address, Channel, ChannelState, adopt, unread_size
from nbsocket._errors import make_error
from nbsocket._runtime._outcome import Outcome
from nbsocket._runtime._stdlib import GenuineSocket
from nbsocket._runtime._stdlib import genuine_os as os

__all__ = ["StreamChannel"]

#: Send buffer of the application's end, unless it chose one: what send() accepted is soon on its way.
SEND_BUFFER_SIZE = 16384

#: Received bytes that wait for the application beyond the kernel's buffer; the modem cannot be told to stop.
QUEUE_LIMIT = 4 * 1024 * 1024

#: Waiting pieces are joined up to this size.
PIECE_SIZE = 4096

#: Linux's SO_BUF_LOCK (asm-generic/socket.h), which Python does not name, and its bit for a chosen send buffer.
SO_BUF_LOCK = 72
SOCK_SNDBUF_LOCK = 1

TCP_ESTABLISHED = 1
TCP_SYN_SENT = 2
TCP_FIN_WAIT1 = 4
TCP_CLOSE = 7
TCP_CLOSE_WAIT = 8

_TCP_INFO = (socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", None))

#: What is asked for before the connection and concerns reads and writes: the application's end does it.
_OPTIONS_OF_END = (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO, socket.SO_RCVLOWAT)
#: Of the longest, a struct timeval.
_OPTION_SIZE = 16

#: A write of ours must not raise SIGPIPE in the program.
_NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)

_FILLER = bytes(4096)
_READ_SIZE = 65536


class StreamChannel(Channel):
    """One TCP connection."""

    def __init__(self, sock: socket.socket, peername: Address, local_port: int = 0) -> None:
        """Make the channel; no modem traffic, and ``sock`` stays an unconnected socket until :meth:`install`.

        Args:
            sock: the application's stream socket.
            peername: the address it connects to, as ``getpeername`` will give it.
            local_port: the local port that it was bound to, or 0.
        """
        super().__init__(sock, socket.SOCK_STREAM)
        self.peername = peername
        self.local_port = local_port
        self.sockname = self.make_address(str(self.sockname[0]), local_port)
        self.app_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer_size())
        for option in _OPTIONS_OF_END:
            value = self.shadow.getsockopt(socket.SOL_SOCKET, option, _OPTION_SIZE)
            self.app_end.setsockopt(socket.SOL_SOCKET, option, value)
        self.read_options()
        self._filler = 0
        self._may_have_trailer = self._has_trailer = False
        self._queue: deque[memoryview] = deque()
        self._queue_size = 0
        self._is_ending = False
        #: The connection was cut, so it has no peer any more.
        self.was_reset = False
        #: What becomes of the attempt to connect; None before it.
        self.outcome: Outcome[None] | None = None
        #: The application has said that it writes no more.
        self._is_shut = False

    def _send_buffer_size(self) -> int:
        with suppress(OSError):
            if self.shadow.getsockopt(socket.SOL_SOCKET, SO_BUF_LOCK) & SOCK_SNDBUF_LOCK:
                return self.shadow.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2
        return SEND_BUFFER_SIZE

    # The application's side.

    def install(self, sock: socket.socket) -> None:
        """Put the application's end over the descriptor of ``sock``, which keeps its number, time-out and inheritance.

        While the connection is being made it is not writable.

        Raises:
            OSError: EBADF, ``sock`` was closed meanwhile.
        """
        if self.state is ChannelState.NEW:
            self.prepare()
        try:
            self.swap_in(sock)
        except OSError:
            self.app_end.close()
            raise

    def prepare(self) -> None:
        """Make it unwritable until it is connected; before the engine knows of it."""
        if not self._filler:
            self._fill()

    def shutdown(self, sock: socket.socket, how: int) -> None:
        """Like :meth:`socket.socket.shutdown`.

        While it is being connected, in whatever direction, the attempt is given up: ECONNRESET there, as on Linux.

        Raises:
            OSError: ENOTCONN while there is no connection.
        """
        if self.state is ChannelState.CONNECTING and self.engine is not None:
            return self.engine.interrupt(self)
        if self.state is not ChannelState.CONNECTED and self.state is not ChannelState.CLOSED:
            raise make_error(errno.ENOTCONN)
        self._is_shut |= how != socket.SHUT_RD
        if how == socket.SHUT_WR and not self._has_trailer and _is_writable(sock):
            self._add_trailer(sock)
        GenuineSocket.shutdown(sock, how)
        return None

    def getsockopt(self, sock: socket.socket, level: int, name: int, *buflen: int) -> Any:
        """Like :meth:`socket.socket.getsockopt`; of TCP_INFO the state is the connection's, and no more."""
        found = super().getsockopt(sock, level, name, *buflen)
        if (level, name) != _TCP_INFO:
            return found
        # tcpi_state is the first byte of struct tcp_info (linux/tcp.h).
        if isinstance(found, bytes):
            return bytes([self._tcp_state()])[: len(found)] + found[1:]
        return int.from_bytes(bytes([self._tcp_state()]) + found.to_bytes(4, sys.byteorder)[1:], sys.byteorder)

    def _tcp_state(self) -> int:
        """Return the state by its number in the kernel (include/net/tcp_states.h)."""
        if self.state is ChannelState.CONNECTING:
            return TCP_SYN_SENT
        if self.state is ChannelState.FAILED or self.was_reset:
            return TCP_CLOSE
        if self.state is ChannelState.CLOSED or self._is_ending:
            return TCP_CLOSE if self._is_shut else TCP_CLOSE_WAIT
        return TCP_FIN_WAIT1 if self._is_shut else TCP_ESTABLISHED

    def _add_trailer(self, sock: socket.socket) -> None:
        # Between the two marks the engine takes one byte less than there is, and sees no end: its thread may look at
        # any moment, and where the mark and the byte disagree a byte of the program's would be lost, or ours sent.
        self._may_have_trailer = True
        try:
            GenuineSocket.send(sock, b"\0", socket.MSG_DONTWAIT | _NO_SIGNAL)
            self._has_trailer = True
        except OSError:
            self._may_have_trailer = False

    # The engine's side: its thread only.

    def opened(self, local_address: str | None) -> None:
        """The connection is there: it becomes writable."""
        self.state = ChannelState.CONNECTED
        if local_address:
            self.sockname = self.make_address(self.in_family(local_address), self.local_port)
        self._discard_filler()

    def failed(self, error: OSError) -> None:
        """The connection could not be made: the application's end becomes ready, SO_ERROR has the reason."""
        self.set_error(error)
        self.state = ChannelState.FAILED
        # Hung up before it is writable, for both come at once natively.
        self.finish()

    def available(self) -> int:
        """Return how many bytes the application has written that were not taken. Thread: any, for information."""
        fd = self.engine_end.fileno()
        if fd < 0 or self.state is ChannelState.CONNECTING:
            return 0
        return max(0, unread_size(fd) - self._may_have_trailer)

    def take(self, max_bytes: int) -> bytes:
        """Return up to ``max_bytes`` that the application wrote; ``b""`` when there is nothing now. Never blocks."""
        size = min(max_bytes, self.available())
        data = self.engine_end.recv(size) if size > 0 else b""
        self.bytes_up += len(data)
        return data

    def is_at_end(self) -> bool:
        """Whether the application will write no more and everything was taken."""
        if self.available():
            return False
        if self._may_have_trailer:
            return self._has_trailer
        try:
            return not self.engine_end.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def deliver(self, data: bytes) -> bool:
        """Give received bytes to the application.

        Returns:
            False when more waits than may: the connection must then be cut.
        """
        self.bytes_down += len(data)
        self._append(data)
        self.flush()
        return self._queue_size <= QUEUE_LIMIT

    def _append(self, data: bytes) -> None:
        self._queue_size += len(data)
        # An object for each byte of a peer that dribbles would cost a hundred times the bytes that are counted.
        if self._queue and len(self._queue[-1]) + len(data) <= PIECE_SIZE:
            data = b"".join((self._queue.pop(), data))
        self._queue.append(memoryview(data))

    @property
    def wants_write(self) -> bool:
        """Whether something waits for room towards the application."""
        return bool(self._queue) and not self.is_over()

    def end(self) -> None:
        """The peer ended the stream; when everything received is delivered, :meth:`finish` is due."""
        self._is_ending = True
        self.flush()

    @property
    def is_due_to_finish(self) -> bool:
        """Whether the peer ended the stream and everything was delivered."""
        return self._is_ending and not self._queue

    def end_reading(self) -> None:
        """The application reads end of file from here on; it may still write."""
        if self.state is not ChannelState.CLOSED and self.engine_end.fileno() >= 0:
            self.state = ChannelState.CLOSED
            with suppress(OSError):
                self.engine_end.shutdown(socket.SHUT_WR)

    def reset(self, error: OSError) -> None:
        """The stream was cut: ECONNRESET after what was received, as far as it fits; SO_ERROR has another reason."""
        if self.is_over():
            return
        self.note_error(error)
        if error.errno != errno.ECONNRESET:
            self.set_error(error)
        self.flush()
        self._queue.clear()
        if not unread_size(self.engine_end.fileno()):
            self._write_from_their_side()
        self.state = ChannelState.CLOSED
        self.was_reset = True
        self.engine_end.close()
        _registry.sweep()

    def sever(self, error: OSError) -> None:
        """Close the engine's end, if it is open, when :meth:`reset` itself has failed; SO_ERROR has the reason."""
        if self.is_over():
            return
        self.set_error(error)
        self.state = ChannelState.FAILED if self.state is ChannelState.CONNECTING else ChannelState.CLOSED
        self.was_reset = True
        self.engine_end.close()

    def finish(self) -> None:
        """Close the engine's end; the application reads end of file."""
        if self.engine_end.fileno() < 0:
            return
        if self.state is not ChannelState.FAILED:
            self.state = ChannelState.CLOSED
        with suppress(OSError):
            self.engine_end.shutdown(socket.SHUT_RDWR)
        # Unread bytes would make it a reset.
        self.discard_written()
        self._queue.clear()
        self.engine_end.close()
        _registry.sweep()

    def abandon(self) -> None:
        """Close both ends: nobody wants the connection any more."""
        if self.app_end.fileno() >= 0:
            self.discard()
        else:
            self.finish()

    def discard_written(self) -> None:
        """Throw away what the application wrote: there is no connection any more."""
        with suppress(OSError):
            while self.engine_end.recv(_READ_SIZE):
                pass

    def _fill(self) -> None:
        self.app_end.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self._filler += self.app_end.send(_FILLER)

    def _discard_filler(self) -> None:
        while self._filler:
            self._filler -= len(self.engine_end.recv(min(self._filler, _READ_SIZE)))

    def flush(self) -> None:
        """Go on delivering; the application's end may have room again."""
        while self._queue:
            sent = self._send(self._queue[0])
            self._queue_size -= sent
            if sent < len(self._queue[0]):
                self._queue[0] = self._queue[0][sent:]
                if not sent:
                    return
            else:
                self._queue.popleft()

    def _send(self, data: memoryview) -> int:
        try:
            return self.engine_end.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the application reads no more

    def _write_from_their_side(self) -> None:
        for fd in _registry.numbers_of(self):
            with suppress(OSError):
                self._write_through(os.dup(fd))
                return
        # It has a duplicate that no call has come by.
        for fd, inode in _registry.descriptors():
            if inode == self.inode:
                self.numbers.add(fd)
                with suppress(OSError):
                    self._write_through(os.dup(fd))
                return

    def _write_through(self, copy: int) -> None:
        # The descriptor may have been closed and reused between the look and the copy: look again.
        if _registry.inode_of(copy) != self.inode:
            os.close(copy)
            return
        theirs = adopt(copy)
        try:
            theirs.send(b"\0", socket.MSG_DONTWAIT | _NO_SIGNAL)
        finally:
            theirs.close()


def _is_writable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(GenuineSocket.fileno(sock), select.POLLOUT)
    return bool(poll.poll(0))
