"""The one thread of a running simulator: it carries bytes between the line, the modem and the network.

It wakes up when the line or the network has something or a deadline of the modem has come, and for nothing else.
Thread: everything here runs on the runner's thread, except what ``call`` and ``stop`` leave for it.
"""

from __future__ import annotations

import contextlib
import select
import selectors
from _thread import get_ident
from collections import deque
from collections.abc import Callable

from nbsocket._runtime import _threads
from nbsocket._runtime._clock import LONGEST_WAIT, monotonic
from nbsocket._runtime._outcome import Outcome
from nbsocket._runtime._stdlib import genuine_os as os
from nbsocket._runtime._stdlib import own_traffic
from nbsocket._runtime._waker import Waker

from ._line import Line
from ._module import Module
from ._uart import Lateness

_LINE_READ_SIZE = 4096

#: Descriptors below this number are fit for select().
_FD_SETSIZE = 1024

#: Where the network has no file descriptor of its own to wait for.
_FALLBACK_INTERVAL = 0.01


class Runner:
    """Runs a modem on a line until :meth:`stop`."""

    def __init__(self, module: Module, line: Line, is_strict_baud: bool) -> None:
        self._module = module
        self._line = line
        self._is_strict_baud = is_strict_baud
        self._network_fd: int | None = None
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._calls: deque[tuple[Callable[[float], None], Outcome[None]]] = deque()
        self._is_stopping = False
        self._unsent = b""
        self._line_mask = 0
        self._lateness = Lateness()
        self.wakeups = 0
        self.error: BaseException | None = None
        self._ident: int | None = None
        self._is_running = False
        self._ended: Outcome[None] = Outcome()

    def start(self) -> None:
        """Start the thread."""
        self._selector.register(self._waker.fileno(), selectors.EVENT_READ)
        self._network_fd = self._module.network.fileno()
        if self._network_fd is not None:
            self._selector.register(self._network_fd, selectors.EVENT_READ)
        self._is_running = True
        try:
            _threads.start(self._run)
        except OSError:
            self._is_running = False
            raise

    def call(self, function: Callable[[float], None]) -> None:
        """Run ``function(now)`` on the runner's thread and wait until it is done; any thread."""
        if not self._is_running or get_ident() == self._ident:
            function(monotonic())
            return
        done: Outcome[None] = Outcome()
        self._calls.append((function, done))
        self._waker.wake()
        if not self._is_running:
            self._settle_calls()
        done.wait_anywhere()

    def _settle_calls(self) -> None:
        """Nobody runs them any more."""
        with contextlib.suppress(IndexError):
            while True:
                self._calls.popleft()[1].set_result(None)

    def plug_in(self, line: Line) -> None:
        """Use another line from now on; on the runner's thread."""
        self._module.is_hung_up = False
        self._line = line

    def stop(self) -> None:
        """Stop the thread and wait for it; any thread. Idempotent."""
        self._is_stopping = True
        self._waker.wake()
        if self._is_running and get_ident() != self._ident:
            self._ended.wait_anywhere()

    def _run(self) -> None:
        own_traffic.is_module = True
        self._ident = get_ident()
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
            self._is_running = False
            self._settle_calls()
            self._ended.set_result(None)

    def _step(self) -> None:
        now = monotonic()
        while self._calls:
            function, done = self._calls.popleft()
            try:
                function(now)
            finally:
                done.set_result(None)
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
            if key.fd == self._waker.fileno():
                self._waker.drain()
            elif key.fd == self._line.fd and mask & selectors.EVENT_READ:
                self._read()
        self.wakeups += 1
        self._module.handle_timeout(monotonic())

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
        return None if deadline is None else min(max(0.0, deadline - monotonic()), LONGEST_WAIT)

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
            data = os.read(self._line.fd, min(_LINE_READ_SIZE, self._module.room))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._look_at_rate()
            self._module.receive_data(data, self._lateness.date(monotonic()))
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
                self._lateness.hand_over(self._module.uart.outbound.through_at, monotonic())
        if self._line.fd < 0:
            self._unsent = b""

    def unplug(self) -> None:
        """Let the port vanish; on the runner's thread."""
        if self._line_mask:
            self._selector.unregister(self._line.fd)
            self._line_mask = 0
        self._line.unplug()
        self._unsent = b""
