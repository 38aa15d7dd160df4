"""The one thread of a running simulator: it carries bytes between the line, the module and the network.

It wakes up when the line or the network has something or a deadline of the module has come, and for nothing else.
Thread: everything here runs on the runner's thread, except what ``call`` and ``stop`` leave for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable

from nbsocket._stdlib import own_traffic

from ._link import Line
from ._module import Module
from ._uart import Lateness

_READ_SIZE = 4096

#: Descriptors below this number are fit for select().
_FD_SETSIZE = 1024

#: Where the network has no file descriptor of its own to wait for.
_FALLBACK_INTERVAL = 0.01


class Runner:
    """Runs a module on a line until :meth:`stop`."""

    def __init__(self, module: Module, line: Line, is_strict_baud: bool) -> None:
        self._module = module
        self._line = line
        self._is_strict_baud = is_strict_baud
        self._network_fd: int | None = None
        self._selector = selectors.DefaultSelector()
        self._waker_read, self._waker_write = os.pipe()
        for fd in (self._waker_read, self._waker_write):
            os.set_blocking(fd, False)
        self._calls: deque[Callable[[float], None]] = deque()
        self._is_stopping = False
        self._unsent = b""
        self._line_mask = 0
        self._lateness = Lateness()
        self.wakeups = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="nbsocket-sim", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._selector.register(self._waker_read, selectors.EVENT_READ)
        self._network_fd = self._module.network.fileno()
        if self._network_fd is not None:
            self._selector.register(self._network_fd, selectors.EVENT_READ)
        self._thread.start()

    def call(self, function: Callable[[float], None]) -> None:
        """Run ``function(now)`` on the runner's thread and wait until it is done; any thread."""
        if not self._thread.is_alive() or threading.current_thread() is self._thread:
            function(time.monotonic())
            return
        done = threading.Event()

        def run(now: float) -> None:
            try:
                function(now)
            finally:
                done.set()

        self._calls.append(run)
        self._wake()
        while not done.wait(0.5):
            if not self._thread.is_alive():
                return

    def plug_in(self, line: Line) -> None:
        """Use another line from now on; on the runner's thread."""
        self._module.is_hung_up = False
        self._line = line

    def stop(self) -> None:
        """Stop the thread and wait for it; any thread. Idempotent."""
        self._is_stopping = True
        self._wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._waker_write, b"\0")

    def _run(self) -> None:
        own_traffic.is_module = True
        try:
            while not self._is_stopping:
                self._step()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._line.unplug()
            self._module.network.close()
            self._selector.close()
            os.close(self._waker_read)
            os.close(self._waker_write)

    def _step(self) -> None:
        now = time.monotonic()
        while self._calls:
            self._calls.popleft()(now)
        self._look_at_rate()
        if not self._unsent:
            self._unsent = self._module.data_to_send(now)
        self._flush()
        if self._module.is_hung_up and self._line.fd >= 0:
            self.unplug()
        self._watch_line()
        self._wait(now)

    def _wait(self, now: float) -> None:
        for key, mask in self._select(self._timeout(now)):
            if key.fd == self._waker_read:
                os.read(self._waker_read, 512)
            elif key.fd == self._line.fd and mask & selectors.EVENT_READ:
                self._read()
        self.wakeups += 1
        self._module.handle_timeout(time.monotonic())

    def _select(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait to the microsecond: epoll rounds up to milliseconds, which are a dozen bytes of a paced line each."""
        fileno = getattr(self._selector, "fileno", None)
        if timeout and fileno is not None and fileno() < _FD_SETSIZE:
            select.select([fileno()], [], [], timeout)
            timeout = 0.0
        return self._selector.select(timeout)

    def _timeout(self, now: float) -> float | None:
        deadline = self._module.next_deadline()
        if self._unsent:
            # The host does not read: what is due for it cannot go out, and must not keep the thread awake.
            deadline = self._module.next_deadline_apart_from_line()
        if self._network_fd is None:
            deadline = min(now + _FALLBACK_INTERVAL, deadline if deadline is not None else float("inf"))
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def _watch_line(self) -> None:
        mask = 0
        if self._line.fd >= 0:
            mask |= selectors.EVENT_READ if self._module.room else 0
            mask |= selectors.EVENT_WRITE if self._unsent else 0
        if mask == self._line_mask:
            return
        if not self._line_mask:
            self._selector.register(self._line.fd, mask)
        elif not mask:
            self._selector.unregister(self._line.fd)
        else:
            self._selector.modify(self._line.fd, mask)
        self._line_mask = mask

    def _read(self) -> None:
        try:
            data = os.read(self._line.fd, min(_READ_SIZE, self._module.room))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._look_at_rate()
            self._module.receive_data(data, self._lateness.date(time.monotonic()))
        else:
            self.unplug()

    def _look_at_rate(self) -> None:
        rate = self._line.host_rate() if self._is_strict_baud and self._line.fd >= 0 else None
        if rate is not None:
            self._module.set_host_rate(rate)

    def _flush(self) -> None:
        while self._unsent and self._line.fd >= 0:
            try:
                size = os.write(self._line.fd, self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self.unplug()
                return
            self._unsent = self._unsent[size:]
            if not self._unsent and self._module.uart.is_paced:
                self._lateness.hand_over(self._module.uart.outbound.through_at, time.monotonic())
        if self._line.fd < 0:
            self._unsent = b""

    def unplug(self) -> None:
        """Let the port vanish; on the runner's thread."""
        if self._line_mask:
            self._selector.unregister(self._line.fd)
            self._line_mask = 0
        self._line.unplug()
        self._unsent = b""
