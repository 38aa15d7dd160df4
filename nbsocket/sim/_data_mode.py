"""AT+QISEND after its prompt: raw bytes from the host (BC260Y-CN TCP/IP guide 1.1 §2.3.5)."""

from __future__ import annotations

from collections.abc import Callable

#: A payload of this size is sent by itself.
MAX_DATA_SIZE = 1024

CTRL_Z = 0x1A
ESC = 0x1B


class DataMode:
    """Collects the payload; ``done(data, now)`` gets it, or None after Esc.

    Args:
        size: how many bytes, or None for data that Ctrl-Z ends.
        is_prompted: bytes count from the beginning; else those before :meth:`prompt` are lost (strict mode).
    """

    def __init__(self, size: int | None, is_prompted: bool, done: Callable[[bytes | None, float], None]) -> None:
        self._size = size
        self._is_prompted = is_prompted
        self._done = done
        self._data = bytearray()

    def prompt(self) -> None:
        """The prompt is out."""
        self._is_prompted = True

    def take(self, data: bytes, now: float) -> int:
        """Take what is payload out of ``data`` and return how many bytes that was."""
        if not self._is_prompted:
            return len(data)
        return self._take_counted(data, now) if self._size is not None else self._take_open(data, now)

    def _take_counted(self, data: bytes, now: float) -> int:
        assert self._size is not None
        piece = data[: self._size - len(self._data)]
        self._data += piece
        if len(self._data) == self._size:
            self._done(bytes(self._data), now)
        return len(piece)

    def _take_open(self, data: bytes, now: float) -> int:
        for index, byte in enumerate(data):
            if byte == ESC:
                self._done(None, now)
                return index + 1
            if byte != CTRL_Z:
                self._data.append(byte)
            if byte == CTRL_Z or len(self._data) == MAX_DATA_SIZE:
                self._done(bytes(self._data), now)
                return index + 1
        return len(data)
