"""What the host has typed and the module has not used yet: command lines, or payload in data mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._parser import LineBuffer

if TYPE_CHECKING:
    from ._module import Module


class Reader:
    """Hands lines to the module and payload to its data mode, one after the other, as far as the module takes them."""

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
            elif self._module.is_busy and not self._module.options.strict:
                return
            else:
                self._read_line(now)

    def _read_line(self, now: float) -> None:
        end = self._input.find(b"\r")
        piece = bytes(self._input if end < 0 else self._input[: end + 1])
        del self._input[: len(piece)]
        self._module.echo(piece, now)
        self._line.add(piece.removesuffix(b"\r"))
        if end < 0:
            return
        if self._input[:1] == b"\n":  # CR LF: the LF belongs to the line, not to data that may follow it
            del self._input[:1]
            self._module.echo(b"\n", now)
        line, is_too_long = self._line.finish()
        self._module.accept(line, is_too_long, now)
