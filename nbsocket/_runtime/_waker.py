"""Wakes a thread that waits for descriptors."""

from __future__ import annotations

import _socket
import socket
from contextlib import suppress

__all__ = ["Waker"]

#: A write of ours must not raise SIGPIPE in the program; macOS has an option of the socket for that.
_NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)
_SO_NO_SIGNAL: int | None = getattr(socket, "SO_NOSIGPIPE", None)


class Waker:
    """A pair of sockets. Its ends are closed when nobody refers to it any more: never under a thread that writes."""

    def __init__(self) -> None:
        """Make the pair; OSError when there are no descriptors left."""
        self._reader, self._writer = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (self._reader, self._writer):
            end.settimeout(0)
            if _SO_NO_SIGNAL is not None:
                end.setsockopt(socket.SOL_SOCKET, _SO_NO_SIGNAL, 1)

    def __del__(self) -> None:
        if hasattr(self, "_reader"):
            self._reader.close()
            self._writer.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Make it readable. Thread: any."""
        with suppress(BlockingIOError):  # it is full of the same already
            self._writer.send(b"\0", _NO_SIGNAL)

    def drain(self) -> None:
        """Make it unreadable again."""
        with suppress(BlockingIOError):
            self._reader.recv(4096)
