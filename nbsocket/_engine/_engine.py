"""One modem's engine: carries out what the driver asks, on one thread; decides nothing.

Theory of operation: a round of the loop handles what is ready (the port, channels), runs what other threads asked
for, and then alternates ``data_to_send()`` and ``next_event()`` of the driver until both are empty. Nothing is
polled: an idle modem costs no wake-ups.

The port is opened by the first thing that needs it. When it is lost, or an exception leaves the driver, every
connection is reset and the next use opens it again; while opening fails, it is tried at growing intervals and the
calls between fail at once with the same error.
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

from nbsocket import _driver
from nbsocket._channel import Channel, DatagramChannel, State, StreamChannel
from nbsocket._driver import Driver, GetUnacked, Request, Settings, WaitAttached
from nbsocket._engine._datagrams import Datagrams
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._log import Log, hush_while
from nbsocket._engine._loop import Handler, Loop
from nbsocket._engine._pace import Pace
from nbsocket._engine._poller import Ready
from nbsocket._engine._questions import Question, Questions, result_of
from nbsocket._engine._stats import Accounts, Stats
from nbsocket._engine._streams import Streams
from nbsocket._engine._wirelog import WireLog, without_payload
from nbsocket._errors import make_error
from nbsocket._port import Port, load
from nbsocket._privacy import mask_secrets
from nbsocket._runtime import _exit, _threads
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._handlers import is_in_handler
from nbsocket._runtime._outcome import Outcome, fail, fulfil

__all__ = ["Engine"]

logger = Log("nbsocket")

T = TypeVar("T")

#: Seconds between attempts to open a port that cannot be opened: doubled from the first to the last.
FIRST_RETRY, LAST_RETRY = 1.0, 30.0

#: Seconds that the end of the interpreter waits for data that is still on its way.
EXIT_TIMEOUT = 10.0
#: Seconds of it that need no word.
SILENT_TIME = 0.5

#: Seconds that the thread may take to end once everything is closed.
GRACE = 5.0

#: Seconds that the log is hushed after a handler's own traffic: what follows from it comes by then.
HUSH_TIME = 2.0

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
        self._open_port = open_port
        self._make_driver = make_driver
        self._wire = WireLog(log_payload=log_payload)
        self._begin_afresh()
        self._loop = Loop(
            after=self._after,
            next_deadline=self._next_deadline,
            crashed=self._crashed,
            begun=lambda: hush_while(self._is_hushed),
        )
        #: The largest datagram, and the bytes that one send of the module carries.
        self.segment_size = self._driver.segment_size
        self._is_closed = False
        self._is_released = False
        #: The thread that ends the interpreter, once it does.
        self._finalising: int | None = None
        #: Held while it is being opened or closed; again by a signal handler that does so in the middle of that.
        self._opening = threading.RLock()
        _engines.add(self)

    def _begin_afresh(self) -> None:
        self._driver = self._make_driver(self.settings)
        self._port: Port | None = None
        self._out = bytearray()
        self._pace = Pace()
        #: Until when the port is not read, because nothing whole can have arrived.
        self._nap_end: float | None = None
        #: What the loop waits for at the most.
        self._due: float | None = None
        self._failure: OSError | None = None
        self._retry_at = 0.0
        self._retry_delay = FIRST_RETRY
        self._hushed_until = float("-inf")
        self._questions = Questions(self)
        self._streams = Streams(self)
        self._datagrams = Datagrams(self)
        self._stopping: Outcome[None] | None = None
        #: It is being stopped at the end of the interpreter, and nobody is to notice.
        self._is_leaving = False
        self._bytes_up = self._bytes_down = 0
        self.accounts = Accounts()

    # -- connections

    def connect(self, channel: StreamChannel, host: str, port: int, local_port: int = 0) -> Outcome[None]:
        """Connect a channel to an address.

        Args:
            channel: a new one.
            host: address text.
            port: 1 to 65535.
            local_port: 0 to let the module choose.
        Returns:
            None when connected, or the OSError that says why not (EMFILE: the module's five sockets are in use).
        """
        channel.prepare()
        channel.is_for_logs = is_in_handler()
        channel.engine = self
        channel.state = State.CONNECTING
        outcome: Outcome[None] = Outcome()
        try:
            self.call(lambda: self._streams.connect(channel, host, port, local_port, outcome))
        except OSError as error:
            channel.failed(error)
            fail(outcome, error)
        return outcome

    def connect_and_wait(
        self, channel: StreamChannel, host: str, port: int, local_port: int = 0, timeout: float | None = None
    ) -> None:
        """Connect a channel and wait for the outcome; given up on any exception, so that the module's socket is freed.

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
        if self._is_closed:
            channel.abandon()
        else:
            self.call(lambda: self._streams.abandon(channel))

    def interrupt(self, channel: StreamChannel) -> None:
        """Give an attempt to connect up: it fails with ECONNRESET. Waits until that is so, a few seconds at most."""
        self.call(lambda: self._streams.interrupt(channel)).wait(GRACE)

    def linger(self, channel: StreamChannel, timeout: float) -> None:
        """Wait until a connection whose descriptor was just closed has ended in the module: all is acknowledged.

        At most ``timeout`` seconds; not at all where somebody else has a descriptor of it, on the library's own
        threads, and when the modem is closed.
        """
        begin = monotonic()
        with suppress(OSError):
            over = result_of(self.call(lambda: self._streams.end_of(channel)), timeout)
            if over is not None:
                over.wait(max(0.0, timeout - (monotonic() - begin)))

    def attach(self, channel: DatagramChannel) -> None:
        """Carry the datagrams of a channel from now on; nothing happens when it is carried already."""
        if not channel.is_for_logs:
            channel.is_for_logs = is_in_handler()
        if channel.engine is None:
            self.call(lambda: self._datagrams.attach(channel))
            channel.engine = self

    def run(self, function: Callable[[], None]) -> None:
        """Call ``function`` on the thread that carries the channels, and wait for it."""
        if self._is_closed or self._loop.is_own_thread:
            function()
        else:
            result_of(self.call(function), None)

    def detach(self, channel: Channel) -> None:
        """Carry a channel no more: the operating system's socket was put back."""
        try:
            self.call(lambda: self._detach(channel))
        except OSError:  # it is closed, or has no thread
            channel.discard()

    def _detach(self, channel: Channel) -> None:
        if isinstance(channel, DatagramChannel):
            self._datagrams.detach(channel)
        elif isinstance(channel, StreamChannel):
            self._streams.abandon(channel)
        channel.discard()

    def set_option(self, channel: Channel, name: str, value: float) -> None:
        """Set ``"nodelay"``, ``"rai"`` or ``"user_timeout"`` (seconds), now and for what is opened later."""
        channel.options[name] = value
        if self._loop.is_running and not self._is_closed:
            self.call(lambda: self._set_option(channel, name, value))

    def own_address(self, timeout: float) -> str | None:
        """Return the module's address; waits at most ``timeout`` seconds for it, None when it is not known then."""
        if self._driver.local_address is None and timeout > 0:
            with suppress(OSError):  # then it is not known
                self.ask(WaitAttached(), timeout)
        return self._driver.local_address

    def catch_up(self, timeout: float) -> None:
        """Wait until the thread has done what it was asked for so far, at most ``timeout`` seconds."""
        self.call(lambda: None).wait(timeout)

    def get_unacked(self, channel: Channel, timeout: float = 10.0) -> int:
        """Return how many bytes the peer has not acknowledged; waits for the module.

        Raises:
            OSError: ENOTCONN, or what the module says.
        """
        keys = result_of(self.call(lambda: self._keys_of(channel)), timeout)
        if not keys:
            raise make_error(errno.ENOTCONN, "the modem has no connection for this socket")
        return sum(self.ask(GetUnacked(key), timeout) for key in keys)

    # -- requests

    def request(self, request: Request, timeout: float | None) -> Outcome[Any]:
        """Ask something of the module; it fails after ``timeout`` seconds."""
        return self._submit(request, timeout).outcome

    def ask(self, request: Request, timeout: float | None, on_progress: Callable[[Any], object] | None = None) -> Any:
        """Ask something of the module and wait for the answer; an interrupted wait withdraws the question.

        Args:
            request: what to ask.
            timeout: seconds; None: for ever.
            on_progress: called on the caller's thread with whatever the request tells before it is done.
        Raises:
            OSError: as the request says; ETIMEDOUT after ``timeout`` seconds.
        """
        question = self._submit(request, timeout)
        try:
            return question.wait(on_progress)
        except BaseException:
            if not (question.outcome.done() or self._is_closed):
                self.call(lambda: self._questions.cancel(question))
            raise

    def _submit(self, request: Request, timeout: float | None) -> Question:
        question = Question(request, timeout, is_for_logs=is_in_handler())
        self.call(lambda: self._questions.submit(question))
        return question

    def call(self, function: Callable[[], T]) -> Outcome[T]:
        """Run a function on the engine's thread.

        Raises:
            OSError: ENODEV, the modem was closed.
        """
        if self._is_closed:
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
            self._is_closed, self._finalising, self._loop.is_deaf = False, None, False
            self._retry_at = 0.0
            result_of(self.call(self.require_port), None)

    def close(self, timeout: float = EXIT_TIMEOUT) -> None:
        """Flush and close every connection, close the port and end the thread.

        Waits at most ``timeout`` seconds, then cuts what is left.
        """
        if _threads.is_own():
            # In a __del__ that the garbage collector runs here: it ends without being waited for.
            if not self._is_closed and self._loop.is_running:
                self._ask_to_stop(timeout)
            self._is_closed = True
            return
        with self._opening:
            if not self._is_closed and self._loop.is_running:
                self._close(timeout)
            self._is_closed = True

    def _ask_to_stop(self, timeout: float) -> Outcome[None]:
        stopped: Outcome[None] = Outcome()
        self.call(lambda: self._begin_stop(stopped, timeout))
        self._is_closed = True
        return stopped

    def _close(self, timeout: float) -> None:
        stopped = self._ask_to_stop(timeout)
        if not stopped.wait(timeout):
            logger.log(logging.WARNING, "the modem at %s is closed before everything was sent", self.url)
            self._loop.call(self._stop)
        self._loop.join(GRACE)

    def begin_to_leave(self) -> Outcome[None] | None:
        """The program is over: send what was written and close the module's sockets, but let no thread notice.

        Returns:
            Settled when that is done; None when there is nothing to do.
        """
        if self._is_closed or not self._loop.is_running:
            return None
        left: Outcome[None] = Outcome()
        self._loop.call(lambda: self._leave(left))
        self._finalising = get_ident()
        return left

    @property
    def unsent(self) -> int:
        """Bytes that programs have written to streams and the module does not have yet, as far as is known."""
        return self._streams.unsent()

    def release(self) -> None:
        """The modem's object is gone: stop when the last connection is."""
        self._is_released = True
        if self._loop.is_running and not self._is_closed:
            self.call(lambda: None)

    def describe_wait(self) -> str | None:
        """Say in words what is waited for before anything can be sent; None where nothing is."""
        return self._driver.describe_wait()

    def describe_wanted_wait(self) -> str | None:
        """The same, where a program waits for it now."""
        return self._driver.describe_wait() if self._driver.is_network_wanted else None

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, and not opened since."""
        return self._is_closed

    @property
    def local_address(self) -> str | None:
        """The module's own address as it was told last; None while it is not known."""
        return self._driver.local_address

    def stats(self) -> Stats:
        """Return what was counted. Neither waits nor takes a lock, so that a signal handler may ask, too."""
        # Copies of dictionaries and tuples are not interrupted by other threads.
        counters = dict(self._driver.counters)
        counters["dropped_datagrams"] = counters.get("dropped_datagrams", 0) + self._datagrams.dropped
        return Stats(
            self._bytes_up,
            self._bytes_down,
            counters.get("commands", 0),
            self._loop.wakeups,
            counters,
            self.accounts.read(),
        )

    def abandon_after_fork(self) -> None:
        """Be new and closed in a forked child; port and connections stay with the parent."""
        if self._port is not None:
            self._port.abandon_after_fork()
        self._loop.abandon_after_fork()
        self._opening = threading.RLock()
        self._begin_afresh()

    # -- the engine's thread: what carriers use (Hub)

    @property
    def driver(self) -> Driver:
        """The present driver."""
        return self._driver

    @property
    def has_port(self) -> bool:
        """Whether the port is open."""
        return self._port is not None

    def require_port(self) -> None:
        """Open the port if it is not open.

        Raises:
            OSError: why it cannot be opened; the same again without trying before the next attempt is due.
        """
        if self._port is not None:
            return
        now = monotonic()
        if self._failure is not None and now < self._retry_at:
            raise make_error(self._failure.errno or errno.EIO, self._failure.strerror or str(self._failure))
        try:
            self._port = self._open_port(self.url, self.settings.baudrate)
        except OSError as error:
            self._failure = error
            self._retry_at = monotonic() + self._retry_delay
            self._retry_delay = min(2 * self._retry_delay, LAST_RETRY)
            raise
        _exit.at_end(_flush_all, _exit.ENGINES)
        self._failure = None
        self._wire.clear()
        self._watch_port()
        self._driver.port_opened(monotonic(), has_baudrate=self._port.has_baudrate)

    def require_service(self) -> None:
        """Open the port if it is not open, for something new: what comes after the end began would hold it up.

        Raises:
            OSError: as :meth:`require_port`; ENODEV while the modem is being closed.
        """
        if self._stopping is not None:
            raise make_error(errno.ENODEV, f"the modem at {self.url} was closed")
        self.require_port()

    def watch(self, fd: int, handler: Handler, *, read: bool, write: bool = False) -> None:
        """See :meth:`Loop.watch`."""
        self._loop.watch(fd, handler, read=read, write=write)

    def forget(self, fd: int) -> None:
        """See :meth:`Loop.forget`."""
        self._loop.forget(fd)

    # -- the round

    def _next_deadline(self) -> float | None:
        moments = [self._datagrams.next_deadline()]
        if self._port is not None:
            moments += [self._driver.next_deadline(), self._nap_end]
        self._due = min((moment for moment in moments if moment is not None), default=None)
        return self._due

    def _after(self) -> None:
        now = monotonic()
        if self._due is not None and self._due <= now:
            self._datagrams.handle_timeout(now)
            if self._nap_end is not None and self._nap_end <= now:
                self._nap_end = None
                self._watch_port()
            if self._port is not None:
                self._driver.handle_timeout(now)
        self._pump()
        if self._stopping is not None:
            self._continue_stop()
        elif self._is_closed and self._port is None:
            self._loop.stop()
        elif self._is_released and not (
            self._streams or self._datagrams or self._datagrams.has_sockets or self._questions
        ):
            self._begin_stop(Outcome(), EXIT_TIMEOUT)
            self._continue_stop()

    def _pump(self) -> None:
        """Carry out everything that the driver wants now."""
        while True:
            data = self._driver.data_to_send()
            if data:
                self._send(data)
            event = self._driver.next_event()
            if event is not None:
                self._handle(event)
            elif not data:
                is_news = self._streams.settle()
                if not self._datagrams.settle() and not is_news:
                    return

    def _handle(self, event: _driver.Event) -> None:
        key = getattr(event, "key", None)
        if self._is_leaving and key is not None and key in self._streams:
            self._streams.left(event)
            return
        if hasattr(event, "request_id"):
            _QUESTION_EVENTS[type(event)](self._questions, event)
        elif key is None:
            _OWN_EVENTS[type(event)](self, event)
        elif key in self._streams:
            _STREAM_EVENTS[type(event)](self._streams, event)
        elif key in self._datagrams:
            _DATAGRAM_EVENTS[type(event)](self._datagrams, event)

    # -- the port

    def _watch_port(self) -> None:
        assert self._port is not None
        is_awake = self._nap_end is None
        self._loop.watch(self._port.fileno(), self._port_ready, read=is_awake, write=bool(self._out))

    def _port_ready(self, ready: Ready) -> None:
        assert self._port is not None
        try:
            if ready.is_writable:
                self._write()
            if ready.is_readable or ready.is_hung_up:
                self._read(ready.is_hung_up)
        except OSError as error:
            self._lose_port(error)

    def _read(self, is_hung_up: bool) -> None:
        assert self._port is not None
        data = self._port.read()
        if data:
            self._retry_delay = FIRST_RETRY
            self._bytes_down += len(data)
            self._wire.received(data)
            now = monotonic()
            self._driver.receive_data(data, now)
            self._nap_end = self._pace.nap_after(len(data), self._driver.payload_due, now)
            if self._nap_end is not None:
                self._watch_port()
        elif is_hung_up:
            raise make_error(errno.EIO, f"the port {self.url} hung up")

    def _send(self, data: bytes) -> None:
        self._wire.sent(data)
        self._bytes_up += len(data)
        self._out += data
        try:
            self._write()
        except OSError as error:
            self._lose_port(error)

    def _write(self) -> None:
        if self._port is None:
            self._out.clear()
            return
        if self._out:
            del self._out[: self._port.write(self._out)]
        self._watch_port()

    def _close_port(self) -> None:
        port, self._port = self._port, None
        try:
            self._nap_end = None
            self._out.clear()
            self._pace.set_rate(None)
            if port is not None:
                self._loop.forget(port.fileno())
        finally:
            if port is not None:
                port.close()

    def _lose_port(self, error: OSError) -> None:
        logger.log(logging.WARNING, "%s: every connection is reset", error.strerror or error)
        self._close_port()
        self._driver.port_lost(error, monotonic())
        self._datagrams.port_lost(error)

    def _crashed(self, error: Exception) -> None:
        """An exception that nothing foresaw: begin anew, so that the next call works."""
        logger.log(logging.ERROR, "internal error, every connection is reset: %r", error, error=error)
        failure = make_error(errno.ECONNRESET, f"internal error: {error!r}")
        failure.__cause__ = error
        # Whatever the state that the failure has left: no step, and no channel, may keep the others from their end.
        run_every(
            self._close_port,
            lambda: self._renew_driver(failure),
            lambda: self._questions.fail_all(failure),
            lambda: self._streams.reset_all(failure),
            # A descriptor that could not be forgotten would hide the next one that gets its number.
            self._loop.forget_all,
            lambda: self._datagrams.reset_all(failure),
            self._datagrams.watch_all,
            lambda: self._stop() if self._stopping is not None else None,
        )

    def _renew_driver(self, failure: OSError) -> None:
        try:
            driver = self._make_driver(self.settings)
        except Exception:
            self._driver.port_lost(failure, monotonic())
            raise
        # What was counted stays counted.
        driver.counters.update(self._driver.counters)
        self._driver = driver

    # -- what the driver tells the engine

    def _set_baudrate(self, event: _driver.SetBaudrate) -> None:
        if self._port is None:
            return
        self._out.clear()
        try:
            self._port.set_baudrate(event.rate)
        except OSError as error:
            if error.errno != errno.EINVAL:
                self._lose_port(error)
                return
            logger.log(logging.INFO, "%s", error.strerror)
            self._driver.baudrate_refused(event.rate, self._port.baudrate)
        else:
            self._pace.set_rate(event.rate)

    def _log(self, event: _driver.Log) -> None:
        message = mask_secrets(event.message if self._wire.log_payload else without_payload(event.message))
        logger.log(event.level, "%s", message)

    def _stopped(self, event: _driver.Stopped) -> None:
        if self._stopping is not None:
            self._stop()

    # -- the log

    def _is_hushed(self) -> bool:
        """Whether the modem is busy with what a handler of logging sends, or was a moment ago."""
        now = monotonic()
        if self._has_traffic_of_handlers():
            self._hushed_until = now + HUSH_TIME
        return now < self._hushed_until

    def _has_traffic_of_handlers(self) -> bool:
        keys = (*self._streams.keys_for_logs(), *self._datagrams.keys_for_logs())
        return self._questions.has_for_logs or not all(map(self._driver.table.is_settled, keys))

    # -- options

    def _keys_of(self, channel: Channel) -> list[int]:
        if isinstance(channel, DatagramChannel):
            return self._datagrams.keys_of(channel)
        assert isinstance(channel, StreamChannel)
        key = self._streams.key_of(channel)
        return [] if key is None else [key]

    def _set_option(self, channel: Channel, name: str, value: float) -> None:
        for key in self._keys_of(channel):
            self._driver.set_option(key, name, value)

    # -- the end

    def _begin_stop(self, stopped: Outcome[None], timeout: float) -> None:
        if self._stopping is not None:
            self._stopping.add_done_callback(lambda _: fulfil(stopped, None))
            return
        self._stopping = stopped
        self._questions.cancel_all(make_error(errno.ENODEV, f"the modem at {self.url} was closed"))
        self._datagrams.close_all()
        self._streams.close_all(timeout)

    def _leave(self, left: Outcome[None]) -> None:
        self._is_leaving = self._loop.is_deaf = True
        if self._stopping is not None:
            self._stopping.add_done_callback(lambda _: fulfil(left, None))
            return
        self._stopping = left
        self._questions.leave()
        self._datagrams.leave()
        self._streams.leave(EXIT_TIMEOUT)

    def _continue_stop(self) -> None:
        if self._port is None:
            self._stop()
        elif not self._streams and not self._datagrams:
            self._driver.shut_down(monotonic())
            self._pump()

    def _stop(self) -> None:
        stopped, self._stopping = self._stopping, None
        failure = make_error(errno.ECONNRESET, f"the modem at {self.url} was closed")
        if not self._is_leaving:
            run_every(lambda: self._streams.reset_all(failure), lambda: self._datagrams.reset_all(failure))
        run_every(
            self._close_port,
            lambda: self._driver.port_lost(failure, monotonic()),
            self._discard_events,
            self._loop.stop,
        )
        if stopped is not None:
            fulfil(stopped, None)

    def _discard_events(self) -> None:
        while self._driver.next_event() is not None:
            pass


_QUESTION_EVENTS: dict[type, Callable[[Questions, Any], None]] = {
    _driver.RequestDone: Questions.done,
    _driver.RequestFailed: Questions.failed,
    _driver.RequestProgress: Questions.progress,
}

_OWN_EVENTS: dict[type, Callable[[Engine, Any], None]] = {
    _driver.SetBaudrate: Engine._set_baudrate,
    _driver.Log: Engine._log,
    _driver.Stopped: Engine._stopped,
}

_STREAM_EVENTS: dict[type, Callable[[Streams, Any], None]] = {
    _driver.Connected: Streams.connected,
    _driver.ConnectFailed: Streams.connect_failed,
    _driver.DataReceived: Streams.data_received,
    _driver.PeerClosed: Streams.peer_closed,
    _driver.ConnectionReset: Streams.reset,
    _driver.ConnectionEnded: Streams.ended,
}

_DATAGRAM_EVENTS: dict[type, Callable[[Datagrams, Any], None]] = {
    _driver.Connected: Datagrams.connected,
    _driver.ConnectFailed: Datagrams.connect_failed,
    _driver.DataReceived: Datagrams.data_received,
    _driver.DatagramsLost: Datagrams.lost,
    _driver.PeerClosed: Datagrams.peer_closed,
    _driver.ConnectionReset: Datagrams.reset,
    _driver.ConnectionEnded: Datagrams.ended,
}


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
