"""What one thread waits for and another one settles.

``concurrent.futures.Future`` holds a lock for moments on both sides. A signal handler that runs in such a moment on
the waiting thread, and waits for the same modem, stops the modem's thread at that lock, and so itself. Here every wait
has a gate of its own, which is opened once; the thread that opens it never waits.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, cast

from nbsocket._errors import timed_out
from nbsocket._runtime._threads import check_may_wait

__all__ = ["Outcome", "fail", "fulfil"]

T = TypeVar("T")


class Outcome(Generic[T]):
    """A value or an error, once. Thread: any; what is settled twice keeps the first."""

    __slots__ = ("_callbacks", "_error", "_is_done", "_value")

    def __init__(self) -> None:
        """Not settled yet."""
        self._is_done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: deque[Callable[[Outcome[T]], object]] = deque()

    def done(self) -> bool:
        """Whether it is settled."""
        return self._is_done

    def set_result(self, value: T) -> None:
        """Settle it with a value."""
        if not self._is_done:
            self._value = value
            self._settle()

    def set_exception(self, error: BaseException) -> None:
        """Settle it with an error."""
        if not self._is_done:
            self._error = error
            self._settle()

    def _settle(self) -> None:
        self._is_done = True
        self._run_callbacks()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is settled, at most ``timeout`` seconds; return whether it is.

        Raises:
            OSError: EDEADLK on a thread of the library's.
        """
        if not self._is_done:
            check_may_wait()
        return self.wait_anywhere(timeout)

    def wait_anywhere(self, timeout: float | None = None) -> bool:
        """The same on whatever thread: only for what another thread of the library settles without fail."""
        if self._is_done:
            return True
        gate = _thread.allocate_lock()
        gate.acquire()
        self.add_done_callback(lambda _: gate.release())
        gate.acquire(timeout=-1.0 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX))
        return self._is_done

    def result(self, timeout: float | None = None) -> T:
        """Return the value or raise the error.

        Raises:
            TimeoutError: it is not settled within ``timeout`` seconds.
            OSError: as :meth:`wait`.
        """
        if not self.wait(timeout):
            raise timed_out()
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return the error, None when there is a value; waits like :meth:`result`."""
        if not self.wait(timeout):
            raise timed_out()
        return self._error

    def add_done_callback(self, function: Callable[[Outcome[T]], object]) -> None:
        """Call ``function`` once it is settled, on the thread that settles it, or now."""
        self._callbacks.append(function)
        if self._is_done:
            self._run_callbacks()

    def _run_callbacks(self) -> None:
        # Each is taken off in one step, so that it is called once whoever comes first.
        with suppress(IndexError):
            while True:
                self._callbacks.popleft()(self)


def fulfil(outcome: Outcome[T], value: T) -> None:
    """Give an outcome its value; nothing happens when it is settled."""
    outcome.set_result(value)


def fail(outcome: Outcome[T], error: BaseException) -> None:
    """Give an outcome its error; nothing happens when it is settled."""
    outcome.set_exception(error)
