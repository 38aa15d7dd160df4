"""The floor: the least that a hand-written loop must do to exchange the same bytes with the same simulator.

It knows in advance how many bytes are to come and looks at none of them; its payload was put into digits before the
clock started; it waits by ``poll`` and reads what there is. Nothing of it would survive an error, a URC out of turn or
a second connection: it is there to be compared with.
"""

from __future__ import annotations

import os
import select
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks._bench import HOST, DataFormat, Service
from benchmarks._wire import send_steps

_READ_SIZE = 65536
_TIMEOUT = 30_000


class Floor:
    """An open port in raw mode."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd, termios.TCSANOW)
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        #: How often it waited.
        self.wakeups = 0

    def command(self, text: str, until: bytes = b"\r\nOK\r\n") -> bytes:
        """Say a command of the setting-up and wait for the end of its answer."""
        os.write(self.fd, text.encode() + b"\r")
        answer = b""
        while until not in answer:
            if not self._poll.poll(_TIMEOUT):
                raise TimeoutError(f"{text}: {answer!r}")
            answer += os.read(self.fd, _READ_SIZE)
        return answer

    def set_up(self, data_format: DataFormat) -> None:
        """Switch the echo off and choose how payload is written."""
        self.drain()
        self.command("ATE0")
        digit = int(data_format == "hex")
        self.command(f'AT+QICFG="dataformat",{digit},{digit}')

    def open(self, service: Service, port: int, socket_id: int = 0) -> None:
        """Open a connection."""
        self.command(f'AT+QIOPEN=0,{socket_id},"{service}","{HOST}",{port},0,1', f"+QIOPEN: {socket_id},0\r\n".encode())

    def close(self, socket_id: int = 0) -> None:
        """Close a connection, after whatever is still coming."""
        self.drain()
        self.command(f"AT+QICLOSE={socket_id}", b"CLOSE OK\r\n")

    def drain(self, silence: float = 0.05) -> None:
        """Read until nothing comes."""
        while self._poll.poll(silence * 1000):
            os.read(self.fd, _READ_SIZE)

    # What is measured.

    def write(self, data: bytes) -> None:
        """Write all of it."""
        size = os.write(self.fd, data)
        while size < len(data):
            size += os.write(self.fd, data[size:])

    def skip(self, size: int) -> int:
        """Read as many bytes; return how many more came with them."""
        while size > 0:
            size -= self._read()
        return -size

    def exchange(self, steps: Sequence[tuple[bytes, int]]) -> int:
        """Write each and wait for the bytes that answer it; return how many more came with the last answer."""
        more = 0
        for written, answer in steps:
            self.write(written)
            more = self.skip(answer - more)
        return more

    def receive(self, size: int, got: int = 0) -> tuple[float, int, float]:
        """Read until ``got`` is ``size``; return when the first came, how much there was, and when the last came."""
        got += self._read()
        first_size = got
        first = time.monotonic()
        while got < size:
            got += self._read()
        return first, first_size, time.monotonic()

    def _read(self) -> int:
        if not self._poll.poll(_TIMEOUT):
            raise TimeoutError("the simulator says nothing")
        self.wakeups += 1
        return len(os.read(self.fd, _READ_SIZE))


@contextmanager
def floor(path: str, data_format: DataFormat) -> Iterator[Floor]:
    """Open the port of a simulator for the time of the block."""
    opened = Floor(path)
    try:
        opened.set_up(data_format)
        yield opened
    finally:
        os.close(opened.fd)


@contextmanager
def connection(opened: Floor, service: Service, port: int, socket_id: int = 0) -> Iterator[None]:
    """Have a connection for the time of the block."""
    opened.open(service, port, socket_id)
    yield
    opened.close(socket_id)


__all__ = ["Floor", "connection", "floor", "send_steps"]
