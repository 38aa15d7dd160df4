"""The serial line of one engine: opening the port and opening it again, reading, writing, its rate.

Thread: the engine's.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

from nbsocket._driver import Driver, SetBaudrate
from nbsocket._engine._log import EngineLog
from nbsocket._engine._loop import Loop
from nbsocket._engine._poller import Ready
from nbsocket._engine._read_delay import ReadDelay
from nbsocket._engine._wirelog import WireLog
from nbsocket._errors import make_error
from nbsocket._port import Port
from nbsocket._runtime._clock import monotonic

__all__ = ["SerialLine"]

logger = EngineLog("nbsocket")

#: Seconds between attempts to open a port that cannot be opened: doubled from the first to the last.
FIRST_RETRY, LAST_RETRY = 1.0, 30.0


class SerialLine:
    """The port while it is open, and when it is to be opened again."""

    def __init__(
        self,
        url: str,
        baudrate: int | None,
        open_port: Callable[[str, int | None], Port],
        wire: WireLog,
        lost: Callable[[OSError], None],
    ) -> None:
        """Note what to use; nothing is opened before :meth:`require`.

        Args:
            url: of the port.
            baudrate: to open it with; None: the default.
            open_port: opens a port at a rate.
            wire: takes what crosses the line.
            lost: told of the error that the port was lost by.
        """
        self.url = url
        self._baudrate = baudrate
        self._open_port = open_port
        self._wire = wire
        self._lost = lost
        self._port: Port | None = None
        self._out = bytearray()
        self._read_delay = ReadDelay()
        #: Until when the port is not read, because nothing whole can have arrived.
        self.read_delay_end: float | None = None
        self._failure: OSError | None = None
        self._retry_at = 0.0
        self._retry_delay = FIRST_RETRY
        self.bytes_up = self.bytes_down = 0

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    def try_at_once(self) -> None:
        """Forget when the next attempt to open it is due."""
        self._retry_at = 0.0

    def require(self, loop: Loop, driver: Driver) -> bool:
        """Open the port if it is not open; return whether it was not.

        Raises:
            OSError: why it cannot be opened; the same again without trying before the next attempt is due.
        """
        if self._port is not None:
            return False
        now = monotonic()
        if self._failure is not None and now < self._retry_at:
            raise make_error(self._failure.errno or errno.EIO, self._failure.strerror or str(self._failure))
        try:
            self._port = self._open_port(self.url, self._baudrate)
        except OSError as error:
            self._failure = error
            self._retry_at = monotonic() + self._retry_delay
            self._retry_delay = min(2 * self._retry_delay, LAST_RETRY)
            raise
        self._failure = None
        self._wire.clear()
        self.attach(loop, driver)
        self.watch()
        driver.port_opened(monotonic(), has_baudrate=self._port.has_baudrate)
        return True

    def attach(self, loop: Loop, driver: Driver) -> None:
        """Carry bytes between the port and this driver, whenever this loop says so."""
        self._loop, self._driver = loop, driver

    def watch(self) -> None:
        assert self._port is not None
        is_awake = self.read_delay_end is None
        self._loop.watch(self._port.fileno(), self._ready, read=is_awake, write=bool(self._out))

    def _ready(self, ready: Ready) -> None:
        assert self._port is not None
        try:
            if ready.is_writable:
                self._write()
            if ready.is_readable or ready.is_hung_up:
                self._read(ready.is_hung_up)
        except OSError as error:
            self.lose(error)

    def _read(self, is_hung_up: bool) -> None:
        assert self._port is not None
        data = self._port.read()
        if data:
            self._retry_delay = FIRST_RETRY
            self.bytes_down += len(data)
            self._wire.received(data)
            now = monotonic()
            self._driver.receive_data(data, now)
            self.read_delay_end = self._read_delay.after(len(data), self._driver.payload_due, now)
            if self.read_delay_end is not None:
                self.watch()
        elif is_hung_up:
            raise make_error(errno.EIO, f"the port {self.url} hung up")

    def send(self, data: bytes) -> None:
        self._wire.sent(data)
        self.bytes_up += len(data)
        self._out += data
        try:
            self._write()
        except OSError as error:
            self.lose(error)

    def _write(self) -> None:
        if self._port is None:
            self._out.clear()
            return
        if self._out:
            del self._out[: self._port.write(self._out)]
        self.watch()

    def close(self) -> None:
        port, self._port = self._port, None
        try:
            self.read_delay_end = None
            self._out.clear()
            self._read_delay.set_rate(None)
            if port is not None:
                self._loop.forget(port.fileno())
        finally:
            if port is not None:
                port.close()

    def set_baudrate(self, event: SetBaudrate) -> None:
        if self._port is None:
            return
        self._out.clear()
        try:
            self._port.set_baudrate(event.rate)
        except OSError as error:
            if error.errno != errno.EINVAL:
                self.lose(error)
                return
            logger.log(logging.INFO, "%s", error.strerror)
            self._driver.baudrate_refused(event.rate, self._port.baudrate)
        else:
            self._read_delay.set_rate(event.rate)

    def lose(self, error: OSError) -> None:
        """The port is gone: it is opened again by what needs it next."""
        logger.log(logging.WARNING, "%s: every connection is reset", error.strerror or error)
        self.close()
        self._lost(error)

    def handle_timeout(self, now: float) -> None:
        """Read again once something whole can have arrived."""
        if self.read_delay_end is not None and self.read_delay_end <= now:
            self.read_delay_end = None
            self.watch()

    def abandon_after_fork(self) -> None:
        """In a forked child: leave the port to the parent."""
        if self._port is not None:
            self._port.abandon_after_fork()
