"""A tap on a serial line: a pseudo-terminal of its own, everything passed on to another, everything written down."""

from __future__ import annotations

import os
import pty
import re
import select
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SEND_RE = re.compile(rb"AT\+QISEND=\d,([1-9]\d*)")
_CLOSED_RE = re.compile(rb'\r\n\+QIURC: "closed",\d\r\n')
_RECV_RE = re.compile(rb'\r\n\+QIURC: "recv",\d,(\d+),')


@dataclass
class Transcript:
    """What crossed the line, in order: ``(is_up, bytes)``."""

    pieces: list[tuple[bool, bytes]] = field(default_factory=list)

    def bytes_of(self, is_up: bool) -> bytes:
        """Everything of one direction."""
        return b"".join(data for direction, data in self.pieces if direction is is_up)

    @property
    def size(self) -> int:
        """Bytes in both directions."""
        return sum(len(data) for _, data in self.pieces)

    def commands(self) -> list[str]:
        """The command lines; payload in data mode is skipped, and hex digits are left out."""
        found = []
        rest = self.bytes_of(True)
        while rest:
            line, _, rest = rest.partition(b"\r")
            counted = _SEND_RE.fullmatch(line)
            if counted is not None:
                rest = rest[int(counted[1]) :]
            found.append(re.sub(rb'"[0-9A-Fa-f]{2,}"', b"...", line).decode("latin-1"))
        return found

    def reports(self, is_hex: bool) -> list[int]:
        """The sizes, on the line, of what the modem said unasked: recv and closed."""
        data = self.bytes_of(False)
        sizes = []
        position = 0
        while (match := _RECV_RE.search(data, position)) is not None:
            digits = int(match[1]) * (2 if is_hex else 1)
            end = match.end() + digits + len(b'""\r\n')
            sizes.append(end - match.start())
            position = end
        return sizes + [len(match) for match in _CLOSED_RE.findall(data)]

    @property
    def is_closed_by_peer(self) -> bool:
        """The modem said that the peer closed the connection."""
        return _CLOSED_RE.search(self.bytes_of(False)) is not None

    def cost_of(self, command: str) -> int:
        """Bytes of the first such command and of all that came down before the next one."""
        size = 0
        is_in = False
        for is_up, data in self.pieces:
            if is_up:
                if is_in:
                    return size
                is_in = data.startswith(command.encode() + b"\r")
            size += len(data) if is_in else 0
        return size


class Tap:
    """Passes bytes between ``path``, for the program under test, and the simulator's port."""

    def __init__(self, port: str) -> None:
        self._far = os.open(port, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._far)
        self._near, self._keeper = pty.openpty()
        tty.setraw(self._keeper)
        self.path = os.ttyname(self._keeper)
        self._transcript = Transcript()
        self._moved_at = time.monotonic()
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            for fd in select.select([self._near, self._far, self._stop_read], [], [])[0]:
                if fd == self._stop_read:
                    return
                data = os.read(fd, 65536)
                self._moved_at = time.monotonic()
                self._transcript.pieces.append((fd == self._near, data))
                self._pass(self._far if fd == self._near else self._near, data)

    @staticmethod
    def _pass(fd: int, data: bytes) -> None:
        while data:
            data = data[os.write(fd, data) :]

    def take(self, quiet: float = 0.6) -> Transcript:
        """Wait until nothing has moved for ``quiet`` seconds from now on; return what did since the last call."""
        self._moved_at = time.monotonic()
        while (left := self._moved_at + quiet - time.monotonic()) > 0:
            time.sleep(left)
        taken, self._transcript = self._transcript, Transcript()
        return taken

    def close(self) -> None:
        """Stop."""
        os.write(self._stop_write, b"\0")
        self._thread.join()
        for fd in (self._far, self._near, self._keeper, self._stop_read, self._stop_write):
            os.close(fd)


@contextmanager
def tap(port: str) -> Iterator[Tap]:
    """A tap for the time of the block."""
    opened = Tap(port)
    try:
        yield opened
    finally:
        opened.close()
