"""A port without a file descriptor: threads that carry its bytes to a socket pair."""

from __future__ import annotations

import _socket
import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM
from typing import TypeVar

from nbsocket._errors import make_error
from nbsocket._port._device import Device, explain
from nbsocket._runtime import _threads
from nbsocket._runtime._outcome import Outcome
from nbsocket._runtime._stdlib import own_traffic

T = TypeVar("T")

#: How much one read takes: more than a second of the fastest line, and a tty gives at most 4 KiB at a time.
READ_SIZE = 65536


def with_threading(function: Callable[[], T]) -> T:
    """Call what starts threads, or asks which thread it is on, where that may be: on a thread that ``threading`` knows.

    Only for URLs of pyserial's whose handlers do so (rfc2217).
    """
    outcome: Outcome[T] = Outcome()

    def run() -> None:
        own_traffic.is_opening_port = True
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    try:
        threading.Thread(target=run, name="nbsocket port", daemon=True).start()
    except RuntimeError as error:
        raise make_error(errno.ENOMEM, f"cannot start a thread for the port: {error}") from error
    outcome.wait_anywhere()
    return outcome.result()


class Carrier:
    """Two threads that carry bytes between a pyserial port without a descriptor and a socket pair."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._outer, self._inner = _socket.socketpair(AF_UNIX, SOCK_STREAM)
        #: Why it ended: what the first of the two threads met.
        self._failures: list[OSError] = []
        try:
            for target in (self._carry_in, self._carry_out):
                _threads.start(partial(self._guarded, target))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        return self._outer.fileno()

    def reason(self) -> OSError | None:
        """Return why the port ended, if it did."""
        return self._failures[0] if self._failures else None

    def close(self) -> None:
        self._outer.close()
        with_threading(self._device.close)

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:
            # A port that another thread closed raises TypeError and the like in pyserial: any of it is the end of the
            # line.
            self._failures.append(explain(self._device.url, error))
        finally:
            with suppress(OSError):
                self._inner.shutdown(SHUT_RDWR)

    def _carry_in(self) -> None:
        port = self._device.serial
        while data := port.read(1):
            data += port.read(port.in_waiting)
            self._inner.sendall(data)

    def _carry_out(self) -> None:
        while data := self._inner.recv(READ_SIZE):
            self._device.serial.write(data)
