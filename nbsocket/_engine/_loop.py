"""The one thread of a modem: waits for descriptors and deadlines, and runs what other threads ask for."""

from __future__ import annotations

import _socket
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from nbsocket._engine._last_resort import run_every
from nbsocket._engine._poller import Poller, Ready, make_poller

__all__ = ["Handler", "Loop", "fail", "fulfil"]

T = TypeVar("T")
Handler = Callable[[Ready], None]


def fulfil(future: Future[Any], value: Any) -> None:
    """Give a future its result; nothing happens when it is done or was cancelled."""
    with suppress(InvalidStateError):
        future.set_result(value)


def fail(future: Future[Any], error: BaseException) -> None:
    """Give a future its error; nothing happens when it is done or was cancelled."""
    with suppress(InvalidStateError):
        future.set_exception(error)


class Loop:
    """A daemon thread that starts with the first call.

    Thread: :meth:`call`, :meth:`join` and the properties from any thread; the rest from the loop's own.
    """

    def __init__(
        self,
        name: str,
        *,
        after: Callable[[], None],
        next_deadline: Callable[[], float | None],
        crashed: Callable[[Exception], None],
    ) -> None:
        """Note what to do.

        Args:
            name: of the thread.
            after: called after everything that was ready or asked for was handled, and when the deadline has come.
            next_deadline: when ``after`` is due at the latest, on ``time.monotonic``; None: not by the clock.
            crashed: told of any exception that leaves a handler or ``after``; must not raise.
        """
        self._name = name
        self._after = after
        self._next_deadline = next_deadline
        self._crashed = crashed
        self._lock = threading.Lock()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._thread: threading.Thread | None = None
        self._poller: Poller | None = None
        self._handlers: dict[int, Handler] = {}
        self._waker: tuple[_socket.socket, _socket.socket] | None = None
        self._is_awake = False
        self._is_stopping = False
        #: How often the thread woke up.
        self.wakeups = 0

    @property
    def is_running(self) -> bool:
        """Whether the thread exists."""
        return self._thread is not None

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller runs on the loop's thread."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Run ``function`` on the loop's thread as soon as it is free; its outcome goes into the future."""
        future: Future[T] = Future()
        with self._lock:
            self._calls.append((function, future))
            if self._thread is None:
                self._start()
            elif not self._is_awake:
                self._is_awake = True
                assert self._waker is not None
                with suppress(BlockingIOError):
                    self._waker[1].send(b"\0")
        return future

    def join(self, timeout: float) -> bool:
        """Wait until the thread has ended; return whether it has."""
        thread = self._thread
        if thread is not None and not self.is_own_thread:
            thread.join(timeout)
        return self._thread is None

    def watch(self, fd: int, handler: Handler, *, read: bool, write: bool = False) -> None:
        """Call ``handler`` whenever ``fd`` is ready for this, or hung up."""
        assert self._poller is not None
        self._handlers[fd] = handler
        self._poller.watch(fd, read, write)

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no more. To be called before it is closed."""
        if self._handlers.pop(fd, None) is not None and self._poller is not None:
            self._poller.forget(fd)

    def forget_all(self) -> None:
        """Watch nothing any more, whatever state a failure has left the system's list of descriptors in."""
        assert self._waker is not None
        reader = self._waker[0].fileno()
        poller = make_poller()
        poller.watch(reader, True, False)
        self._handlers = {reader: self._drain_waker}
        spent, self._poller = self._poller, poller
        if spent is not None:
            spent.close()

    def stop(self) -> None:
        """End the thread after the present round, unless it was called meanwhile; a later call starts a new one."""
        self._is_stopping = True

    def abandon_after_fork(self) -> None:
        """Be new in a forked child, where the thread does not exist."""
        if self._poller is not None:
            self._poller.close()
        for end in self._waker or ():
            end.close()
        self._lock = threading.Lock()
        self._calls = deque()
        self._thread = self._poller = self._waker = None
        self._handlers = {}
        self._is_awake = self._is_stopping = False

    def _start(self) -> None:
        reader, writer = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        reader.settimeout(0)
        writer.settimeout(0)
        self._waker = reader, writer
        self._poller = make_poller()
        self._poller.watch(reader.fileno(), True, False)
        self._handlers = {reader.fileno(): self._drain_waker}
        self._is_awake = self._is_stopping = False
        self._calls.appendleft((lambda: None, Future()))
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._is_awake = True
        while True:
            try:
                self._round()
            except Exception as error:
                run_every(partial(self._crashed, error))
            if self._is_stopping and self._end():
                return

    def _round(self) -> None:
        self._serve(self._patience())
        self.wakeups += 1
        self._run_calls()
        self._after()

    def _serve(self, timeout: float | None) -> None:
        assert self._poller is not None
        for ready in self._poller.wait(timeout):
            handler = self._handlers.get(ready.fd)
            if handler is not None:
                handler(ready)

    def _patience(self) -> float | None:
        if self._calls:
            return 0.0
        deadline = self._next_deadline()
        return None if deadline is None else max(0.0, deadline - monotonic())

    def _run_calls(self) -> None:
        with self._lock:
            calls, self._calls = self._calls, deque()
            self._is_awake = False
        if calls:
            self._serve_before(calls)
        for function, future in calls:
            try:
                fulfil(future, function())
            except Exception as error:
                fail(future, error)

    def _serve_before(self, calls: deque[tuple[Callable[[], Any], Future[Any]]]) -> None:
        """What the caller did to its descriptors comes first: a new connection may need what a closed one frees."""
        try:
            self._serve(0.0)
        except Exception:
            self._calls.extendleft(reversed(calls))
            raise

    def _drain_waker(self, ready: Ready) -> None:
        assert self._waker is not None
        with suppress(BlockingIOError):
            self._waker[0].recv(16)

    def _end(self) -> bool:
        """Release everything, unless something was asked for meanwhile."""
        with self._lock:
            if self._calls:
                # Somebody wants it again; who stops it may ask once more after that.
                self._is_stopping = False
                return False
            assert self._poller is not None and self._waker is not None
            self._poller.close()
            for end in self._waker:
                end.close()
            self._handlers = {}
            self._thread = self._poller = self._waker = None
            return True
