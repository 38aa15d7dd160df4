"""One modem's engine, as other threads see it: connections and requests are handed to its thread, outcomes come back.

Nothing is polled: an idle modem costs no wake-ups. What runs on the thread is in ``_core``.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import weakref
from _thread import get_ident
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from nbsocket._channel import Channel, ChannelState, DatagramChannel, StreamChannel
from nbsocket._driver import Driver, GetUnacked, Request, Settings, WaitAttached
from nbsocket._engine._core import EXIT_TIMEOUT, EngineCore
from nbsocket._engine._log import EngineLog
from nbsocket._engine._pending_requests import PendingRequest, result_of
from nbsocket._engine._stats import Accounts, Stats
from nbsocket._engine._wirelog import WireLog
from nbsocket._errors import make_error
from nbsocket._port import Port, load
from nbsocket._runtime import _exit, _threads
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._handlers import is_in_handler
from nbsocket._runtime._outcome import Outcome, fail

__all__ = ["Engine"]

logger = EngineLog("nbsocket")

T = TypeVar("T")

#: Seconds of the end's time-out that need no word.
SILENT_TIME = 0.5

#: Seconds that the thread may take to end once everything is closed.
THREAD_TIMEOUT = 5.0

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


class Engine:
    """Carries the connections and requests of one modem.

    Thread: every public method may be called from any thread, and none waits unless it says so.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        log_payload: bool = False,
        open_port: Callable[[str, int | None], Port] = Port.open,
        make_driver: Callable[[Settings], Driver] = Driver,
    ) -> None:
        """Note what to use; thread and port start with the first use.

        Args:
            url: of the port.
            settings: for the driver.
            log_payload: whether the wire log shows payload.
            open_port: opens a port at a rate.
            make_driver: makes the driver.
        """
        load(url)
        _exit.prepare()
        self.url = url
        self.settings = settings
        wire = WireLog(log_payload=log_payload)
        self._core = EngineCore(url, settings, wire, open_port, make_driver, _flush_at_exit)
        self._loop = self._core.loop
        #: The largest datagram, and the bytes that one send of the modem carries: as many of every model.
        self.segment_size = self._core.driver.segment_size
        #: The thread that ends the interpreter, once it does.
        self._finalising: int | None = None
        #: Held while it is being opened or closed; again by a signal handler that does so in the middle of that.
        self._opening = threading.RLock()
        _engines.add(self)

    # -- connections

    def connect(self, channel: StreamChannel, host: str, port: int, local_port: int = 0) -> Outcome[None]:
        """Connect a channel to an address.

        Args:
            channel: a new one.
            host: address text.
            port: 1 to 65535.
            local_port: 0 to let the modem choose.
        Returns:
            None when connected, or the OSError that says why not (EMFILE: the modem's five sockets are in use).
        """
        channel.prepare()
        channel.is_for_logs = is_in_handler()
        channel.engine = self
        channel.state = ChannelState.CONNECTING
        outcome: Outcome[None] = Outcome()
        try:
            self.call(lambda: self._core.streams.connect(channel, host, port, local_port, outcome))
        except OSError as error:
            channel.failed(error)
            fail(outcome, error)
        return outcome

    def connect_and_wait(
        self, channel: StreamChannel, host: str, port: int, local_port: int = 0, timeout: float | None = None
    ) -> None:
        """Connect a channel and wait for the outcome; given up on any exception, so that the modem's socket is freed.

        Raises:
            TimeoutError: not connected within ``timeout`` seconds.
            OSError: as :meth:`connect`.
        """
        outcome = self.connect(channel, host, port, local_port)
        try:
            outcome.result(timeout)
        except BaseException:
            self.abandon(channel)
            raise

    def abandon(self, channel: StreamChannel) -> None:
        """Give a connection up: closed at once, nothing is flushed."""
        if self._core.is_closed:
            channel.abandon()
        else:
            self.call(lambda: self._core.streams.abandon(channel))

    def interrupt(self, channel: StreamChannel) -> None:
        """Give an attempt to connect up: it fails with ECONNRESET. Waits until that is so, a few seconds at most."""
        self.call(lambda: self._core.streams.interrupt(channel)).wait(THREAD_TIMEOUT)

    def linger(self, channel: StreamChannel, timeout: float) -> None:
        """Wait until a connection whose descriptor was just closed has ended in the modem: all is acknowledged.

        At most ``timeout`` seconds; not at all where somebody else has a descriptor of it, on the library's own
        threads, and when the modem is closed.
        """
        begin = monotonic()
        with suppress(OSError):
            over = result_of(self.call(lambda: self._core.streams.end_of(channel)), timeout)
            if over is not None:
                over.wait(max(0.0, timeout - (monotonic() - begin)))

    def attach(self, channel: DatagramChannel) -> None:
        """Carry the datagrams of a channel from now on; nothing happens when it is carried already."""
        if not channel.is_for_logs:
            channel.is_for_logs = is_in_handler()
        if channel.engine is None:
            self.call(lambda: self._core.datagrams.attach(channel))
            channel.engine = self

    def run(self, function: Callable[[], None]) -> None:
        """Call ``function`` on the thread that carries the channels, and wait for it."""
        if self._core.is_closed or self._loop.is_own_thread:
            function()
        else:
            result_of(self.call(function), None)

    def detach(self, channel: Channel) -> None:
        """Carry a channel no more: the operating system's socket was put back."""
        try:
            self.call(lambda: self._core.detach(channel))
        except OSError:  # it is closed, or has no thread
            channel.discard()

    def set_option(self, channel: Channel, name: str, value: float) -> None:
        """Set ``"nodelay"``, ``"rai"`` or ``"user_timeout"`` (seconds), now and for what is opened later."""
        channel.options[name] = value
        if self._loop.is_running and not self._core.is_closed:
            self.call(lambda: self._core.set_option(channel, name, value))

    def own_address(self, timeout: float) -> str | None:
        """Return the modem's address; waits at most ``timeout`` seconds for it, None when it is not known then."""
        if self._core.driver.local_address is None and timeout > 0:
            with suppress(OSError):  # then it is not known
                self.ask(WaitAttached(), timeout)
        return self._core.driver.local_address

    def catch_up(self, timeout: float) -> None:
        """Wait until the thread has done what it was asked for so far, at most ``timeout`` seconds."""
        self.call(lambda: None).wait(timeout)

    def get_unacked(self, channel: Channel, timeout: float = 10.0) -> int:
        """Return how many bytes the peer has not acknowledged; waits for the modem.

        Raises:
            OSError: ENOTCONN, or what the modem says.
        """
        keys = result_of(self.call(lambda: self._core.keys_of(channel)), timeout)
        if not keys:
            raise make_error(errno.ENOTCONN, "the modem has no connection for this socket")
        return sum(self.ask(GetUnacked(key), timeout) for key in keys)

    # -- requests

    def request(self, request: Request, timeout: float | None) -> Outcome[Any]:
        """Ask something of the modem; it fails after ``timeout`` seconds."""
        return self._submit(request, timeout).outcome

    def ask(self, request: Request, timeout: float | None, on_progress: Callable[[Any], object] | None = None) -> Any:
        """Ask something of the modem and wait for the answer; an interrupted wait withdraws the request.

        Args:
            request: what to ask.
            timeout: seconds; None: for ever.
            on_progress: called on the caller's thread with whatever the request tells before it is done.
        Raises:
            OSError: as the request says; ETIMEDOUT after ``timeout`` seconds.
        """
        pending = self._submit(request, timeout)
        try:
            return pending.wait(on_progress)
        except BaseException:
            if not (pending.outcome.done() or self._core.is_closed):
                self.call(lambda: self._core.requests.cancel(pending))
            raise

    def _submit(self, request: Request, timeout: float | None) -> PendingRequest:
        pending = PendingRequest(request, timeout, is_for_logs=is_in_handler())
        self.call(lambda: self._core.requests.submit(pending))
        return pending

    def call(self, function: Callable[[], T]) -> Outcome[T]:
        """Run a function on the engine's thread.

        Raises:
            OSError: ENODEV, the modem was closed.
        """
        if self._core.is_closed:
            raise make_error(errno.ENODEV, f"the modem at {self.url} is closed: call its open() first")
        if self._finalising is not None:
            if get_ident() == self._finalising:
                raise make_error(errno.ENODEV, f"the modem at {self.url} is closed: the program is over")
            return Outcome()  # natively the end would find this thread still waiting
        return self._loop.call(function)

    # -- life

    @property
    def is_running(self) -> bool:
        """Whether its thread exists."""
        return self._loop.is_running

    def open(self) -> None:
        """Open the port if it is not open, whatever was said before; waits for it.

        Raises:
            OSError: why the port cannot be opened.
        """
        _threads.check_may_wait()
        with self._opening:
            self._core.is_closed, self._finalising, self._loop.is_deaf = False, None, False
            self._core.line.try_at_once()
            result_of(self.call(self._core.require_port), None)

    def close(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Flush and close every connection, close the port and end the thread.

        Waits at most ``timeout`` seconds, then cuts what is left.
        """
        if _threads.is_own():
            # In a __del__ that the garbage collector runs here: it ends without being waited for.
            if not self._core.is_closed and self._loop.is_running:
                self._ask_to_stop(timeout)
            self._core.is_closed = True
            return
        with self._opening:
            if not self._core.is_closed and self._loop.is_running:
                stopped = self._ask_to_stop(timeout)
                if not stopped.wait(timeout):
                    logger.log(logging.WARNING, "the modem at %s is closed before everything was sent", self.url)
                    self._loop.call(self._core.stop)
                self._loop.join(THREAD_TIMEOUT)
            self._core.is_closed = True

    def _ask_to_stop(self, timeout: float) -> Outcome[None]:
        stopped: Outcome[None] = Outcome()
        self.call(lambda: self._core.begin_stop(stopped, timeout))
        self._core.is_closed = True
        return stopped

    def begin_to_leave(self) -> Outcome[None] | None:
        """The program is over: send what was written and close the modem's sockets, but let no thread notice.

        Returns:
            Settled when that is done; None when there is nothing to do.
        """
        if self._core.is_closed or not self._loop.is_running:
            return None
        left: Outcome[None] = Outcome()
        self._loop.call(lambda: self._core.leave(left))
        self._finalising = get_ident()
        return left

    @property
    def unsent(self) -> int:
        """Bytes that programs have written to streams and the modem does not have yet, as far as is known."""
        return self._core.streams.unsent()

    def release(self) -> None:
        """The modem's object is gone: stop when the last connection is."""
        self._core.is_released = True
        if self._loop.is_running and not self._core.is_closed:
            self.call(lambda: None)

    def describe_wait(self, *, is_wanted: bool = False) -> str | None:
        """Say in words what is waited for before anything can be sent; None where nothing is.

        ``is_wanted``: only where a program waits for it now.
        """
        driver = self._core.driver
        return None if is_wanted and not driver.is_network_wanted else driver.describe_wait()

    @property
    def accounts(self) -> Accounts:
        """The accounts of all connections. Thread: the engine's."""
        return self._core.accounts

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, and not opened since."""
        return self._core.is_closed

    @property
    def local_address(self) -> str | None:
        """The modem's own address as it was told last; None while it is not known."""
        return self._core.driver.local_address

    def stats(self) -> Stats:
        """Return what was counted. Neither waits nor takes a lock, so that a signal handler may ask, too."""
        return self._core.stats()

    def abandon_after_fork(self) -> None:
        """Be new and closed in a forked child; port and connections stay with the parent."""
        self._core.abandon_after_fork()
        self._opening = threading.RLock()


def _flush_at_exit() -> None:
    """A port was opened: there may be something to send at the end."""
    _exit.at_end(_flush_all, _exit.ENGINES)


def _flush_all() -> None:
    """At the end of the interpreter, or when a program is told to end: for a bounded time."""
    deadline = monotonic() + EXIT_TIMEOUT
    leaving = [(engine, left) for engine in tuple(_engines) if (left := engine.begin_to_leave()) is not None]
    is_interrupted = isinstance(getattr(sys, "last_value", None), KeyboardInterrupt)
    try:
        if not _wait_for_all(leaving, min(deadline, monotonic() + SILENT_TIME)):
            size = sum(engine.unsent for engine, _ in leaving)
            again = " again" if is_interrupted else ""
            if size:
                logger.log(logging.WARNING, "sending the rest (%s), Ctrl-C%s to drop it", _in_words(size), again)
            _wait_for_all(leaving, deadline)
        why = f"the program ends after {EXIT_TIMEOUT:g} s"
    except KeyboardInterrupt:
        why = "dropped by Ctrl-C"
    for engine, left in leaving:
        if not left.done() and (size := engine.unsent):
            logger.log(logging.WARNING, "%s: %s were not sent to the modem at %s", why, _in_words(size), engine.url)


def _wait_for_all(leaving: list[tuple[Engine, Outcome[None]]], deadline: float) -> bool:
    return all(left.wait(max(0.0, deadline - monotonic())) for _, left in leaving)


def _in_words(size: int) -> str:
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.0f} KB"


def _abandon_after_fork() -> None:
    for engine in tuple(_engines):
        engine.abandon_after_fork()


os.register_at_fork(after_in_child=_abandon_after_fork)
