"""What the host has typed and the modem has not used yet: command lines, or payload after the prompt of AT+QISEND.

Source of the data mode: BC260Y-CN TCP/IP guide 1.1 §2.3.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._module import Module

#: Longest command line kept: AT+QISEND with 1024 characters of text, all of them escaped, fits twice.
MAX_COMMAND_LINE_SIZE = 4096

#: Ctrl-Z and Esc, in data of no stated length.
SEND_BYTE = 0x1A
CANCEL_BYTE = 0x1B


class DataMode:
    """Collects the payload; ``done(data, now)`` gets it, or None after Esc.

    Args:
        size: how many bytes, or None for data that Ctrl-Z ends.
        limit: a payload of this size is sent by itself.
        is_prompted: bytes count from the beginning; else those before :meth:`prompt` are lost (strict mode).
    """

    def __init__(
        self, size: int | None, limit: int, is_prompted: bool, done: Callable[[bytes | None, float], None]
    ) -> None:
        self._size = size
        self._limit = limit
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
            if byte == CANCEL_BYTE:
                self._done(None, now)
                return index + 1
            if byte != SEND_BYTE:
                self._data.append(byte)
            if byte == SEND_BYTE or len(self._data) == self._limit:
                self._done(bytes(self._data), now)
                return index + 1
        return len(data)


class LineBuffer:
    """Collects the characters of a command line, up to its CR.

    Bytes beyond MAX_COMMAND_LINE_SIZE are counted, not kept: such a line is an error once it ends.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self.is_too_long = False

    def add(self, piece: bytes) -> None:
        """Append characters before the CR."""
        room = MAX_COMMAND_LINE_SIZE - len(self._line)
        self.is_too_long = self.is_too_long or len(piece) > room
        self._line += piece[:room]

    def finish(self) -> tuple[str, bool]:
        """Return the line (8-bit characters kept one to one) and whether it was too long; begin the next one."""
        text = self._line.decode("latin-1").lstrip("\n\r\x00 ")
        was_too_long, self.is_too_long = self.is_too_long, False
        self._line.clear()
        return text, was_too_long


class HostInput:
    """Hands lines to the modem and payload to its data mode, one after the other, as far as the modem takes them."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._input = bytearray()
        self._line = LineBuffer()

    def __len__(self) -> int:
        return len(self._input)

    def put(self, data: bytes, now: float) -> None:
        """Take what has arrived."""
        self._input += data
        self.process(now)

    def clear(self) -> None:
        """Forget everything (a boot)."""
        self._input.clear()
        self._line = LineBuffer()

    def process(self, now: float) -> None:
        """Use what there is, unless a command is unfinished: then it waits (not in strict mode)."""
        while self._input:
            if self._module.data_mode is not None:
                used = self._module.data_mode.take(bytes(self._input), now)
                del self._input[:used]
            elif self._module.command.is_busy and not self._module.options.strict:
                return
            else:
                self._read_line(now)

    def _read_line(self, now: float) -> None:
        end = self._input.find(b"\r")
        piece = bytes(self._input if end < 0 else self._input[: end + 1])
        del self._input[: len(piece)]
        self._module.output.echo(piece, now)
        self._line.add(piece.removesuffix(b"\r"))
        if end < 0:
            return
        if self._input[:1] == b"\n":  # CR LF: the LF belongs to the line, not to data that may follow it
            del self._input[:1]
            self._module.output.echo(b"\n", now)
        line, is_too_long = self._line.finish()
        self._module.command.accept(line, is_too_long, now)
