"""The one thread of a modem: waits for descriptors and deadlines, and runs what other threads ask for.

Theory of operation: there is no lock between the threads, for a signal handler or a ``__del__`` may run in the middle
of any call and call again. What is asked for goes into a deque, whose operations are atomic, and a byte wakes the
thread. The thread that runs holds the only *licence*; whoever asks and sees the licence unclaimed starts a thread,
and of several that were started only the one that gets it stays.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from nbsocket._engine._last_resort import run_every
from nbsocket._engine._poller import Poller, Ready, make_poller
from nbsocket._runtime import _threads
from nbsocket._runtime._clock import LONGEST_WAIT, monotonic
from nbsocket._runtime._outcome import Outcome, fail, fulfil
from nbsocket._runtime._waker import Waker

__all__ = ["Handler", "Loop"]

T = TypeVar("T")
Handler = Callable[[Ready], None]


class Loop:
    """A thread of the library's that starts with the first call.

    Thread: :meth:`call`, :meth:`join` and the properties from any thread; the rest from the loop's own.
    """

    def __init__(
        self,
        *,
        after: Callable[[], None],
        next_deadline: Callable[[], float | None],
        crashed: Callable[[Exception], None],
        begun: Callable[[], None] = lambda: None,
    ) -> None:
        """Note what to do.

        Args:
            after: called after everything that was ready or asked for was handled, and when the deadline has come.
            next_deadline: when ``after`` is due at the latest, on ``time.monotonic``; None: not by the clock.
            crashed: told of any exception that leaves a handler or ``after``; must not raise.
            begun: called on every new thread before anything else.
        """
        self._after = after
        self._next_deadline = next_deadline
        self._crashed = crashed
        self._begun = begun
        self._calls: deque[tuple[Callable[[], Any], Outcome[Any]]] = deque()
        self._renew()

    def _renew(self) -> None:
        #: Empty while a thread runs: it has taken what was in it.
        self._licence: deque[object] = deque([self])
        self._ident: int | None = None
        #: Of the thread that runs, or ran last.
        self._ended: Outcome[None] = Outcome()
        self._poller: Poller | None = None
        self._handlers: dict[int, Handler] = {}
        self._waker: Waker | None = None
        self._is_stopping = False
        #: The program is over: what is asked for is neither done nor answered.
        self.is_deaf = False
        #: How often the thread woke up.
        self.wakeups = 0

    @property
    def is_running(self) -> bool:
        """Whether the thread exists."""
        return not self._licence or bool(self._calls)

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller runs on the loop's thread."""
        return get_ident() == self._ident

    def call(self, function: Callable[[], T]) -> Outcome[T]:
        """Run ``function`` on the loop's thread as soon as it is free; its outcome goes into what is returned.

        Raises:
            OSError: ENOMEM, the thread cannot be started; nothing is run.
        """
        outcome: Outcome[T] = Outcome()
        self._calls.append((function, outcome))
        if self._licence:
            self._start(outcome)
        elif (waker := self._waker) is not None:
            # Also on its own thread, where a __del__ may run when it has just looked for the last time. None: it is
            # about to look anyway.
            waker.wake()
        return outcome

    def _start(self, outcome: Outcome[Any]) -> None:
        try:
            _threads.start(self._run)
        except OSError as error:
            # Settled, so that no thread that starts later runs what its caller was told has failed.
            fail(outcome, error)
            raise

    def join(self, timeout: float) -> bool:
        """Wait until the thread has ended; return whether it has."""
        if self.is_running and not self.is_own_thread:
            self._ended.wait(timeout)
        return not self.is_running

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
        waker, poller = self._waker, make_poller()
        poller.watch(waker.fileno(), True, False)
        self._handlers = {waker.fileno(): lambda ready: waker.drain()}
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
        self._calls = deque()
        self._renew()

    def _run(self) -> None:
        self._begun()
        while ended := self._begin():
            while not (self._is_stopping and self._end()):
                try:
                    self._round()
                except Exception as error:
                    run_every(partial(self._crashed, error))
            self._licence.append(self)
            ended.set_result(None)
            if not self._calls:
                return
            # Somebody asked between the last look and the licence's return, and may have started no thread.

    def _begin(self) -> Outcome[None] | None:
        """Take the licence; None when another thread has it, or there is nothing to run on."""
        try:
            self._licence.pop()
        except IndexError:
            return None
        try:
            waker, poller = Waker(), make_poller()
        except OSError as error:
            self._licence.append(self)
            for _ in range(len(self._calls)):
                fail(self._calls.popleft()[1], error)
            return None
        poller.watch(waker.fileno(), True, False)
        self._ident, self._is_stopping, self._poller = get_ident(), False, poller
        self._handlers = {waker.fileno(): lambda ready: waker.drain()}
        self._calls.appendleft((lambda: None, Outcome()))
        ended: Outcome[None] = Outcome()
        self._ended, self._waker = ended, waker
        return ended

    def _round(self) -> None:
        self._serve(self._timeout())
        self.wakeups += 1
        self._run_calls()
        self._after()

    def _serve(self, timeout: float | None) -> None:
        assert self._poller is not None
        for ready in self._poller.wait(timeout):
            handler = self._handlers.get(ready.fd)
            if handler is not None:
                handler(ready)

    def _timeout(self) -> float | None:
        if self._calls:
            return 0.0
        deadline = self._next_deadline()
        return None if deadline is None else min(max(0.0, deadline - monotonic()), LONGEST_WAIT)

    def _run_calls(self) -> None:
        if not self._calls:
            return
        calls = [self._calls.popleft() for _ in range(len(self._calls))]
        self._serve_before(calls)
        for function, outcome in calls:
            if outcome.done() or self.is_deaf:
                continue  # its caller was told that it failed, or is never to be told anything
            try:
                fulfil(outcome, function())
            except Exception as error:
                fail(outcome, error)

    def _serve_before(self, calls: list[tuple[Callable[[], Any], Outcome[Any]]]) -> None:
        """What the caller did to its descriptors comes first: a new connection may need what a closed one frees."""
        try:
            self._serve(0.0)
        except Exception:
            self._calls.extendleft(reversed(calls))
            raise

    def _end(self) -> bool:
        """Release everything, unless something was asked for meanwhile."""
        if self._calls:
            # Somebody wants it again; who stops it may ask once more after that.
            self._is_stopping = False
            return False
        assert self._poller is not None
        self._poller.close()
        self._handlers = {}
        self._poller = self._waker = self._ident = None
        return True
