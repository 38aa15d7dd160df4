"""What runs on the engine's thread: the rounds, the driver, and the end. It carries out what the driver asks.

A round of the loop handles what is ready (the port, channels), runs what other threads asked for, and then alternates
``data_to_send()`` and ``next_event()`` of the driver until both are empty.

The port is opened by the first thing that needs it. When it is lost, or an exception leaves the driver, every
connection is reset and the next use opens it again; while opening fails, it is tried at growing intervals and the
calls between fail at once with the same error.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Any

from nbsocket import _driver
from nbsocket._channel import Channel, DatagramChannel, StreamChannel
from nbsocket._driver import Driver, Settings
from nbsocket._engine._datagrams import Datagrams
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._log import EngineLog, hush_while
from nbsocket._engine._loop import Handler, Loop
from nbsocket._engine._pending_requests import PendingRequests
from nbsocket._engine._serial_line import SerialLine
from nbsocket._engine._stats import Accounts, Stats
from nbsocket._engine._streams import Streams
from nbsocket._engine._wirelog import WireLog, without_payload
from nbsocket._errors import make_error
from nbsocket._port import Port
from nbsocket._privacy import mask_secrets
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome, fulfil

__all__ = ["EXIT_TIMEOUT", "EngineCore"]

logger = EngineLog("nbsocket")

#: Seconds that the end of the interpreter waits for data that is still on its way.
EXIT_TIMEOUT = 10.0

#: Seconds that the log is hushed after a handler's own traffic: what follows from it comes by then.
HUSH_TIME = 2.0


class EngineCore:
    """One modem's driver, line and connections. Thread: the engine's, but for :meth:`stats`.

    It is the :class:`EngineContext` of streams, datagrams and requests.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        wire: WireLog,
        open_port: Callable[[str, int | None], Port],
        make_driver: Callable[[Settings], Driver],
        begun: Callable[[], None],
    ) -> None:
        """Note what to use; see :class:`nbsocket._engine.Engine`. ``begun``: called when the port was opened."""
        self.url = url
        self.settings = settings
        self._wire = wire
        self._open_port = open_port
        self._make_driver = make_driver
        self._begun = begun
        #: Nothing new is to be begun, and the modem was closed; its object is gone.
        self.is_closed = False
        self.is_released = False
        self._begin_afresh()
        self.loop = Loop(
            after=self._after,
            next_deadline=self._next_deadline,
            crashed=self._crashed,
            begun=lambda: hush_while(self._is_hushed),
        )

    def _begin_afresh(self) -> None:
        self.driver = self._make_driver(self.settings)
        self.line = SerialLine(self.url, self.settings.baudrate, self._open_port, self._wire, self._line_lost)
        #: What the loop waits for at the most.
        self._due: float | None = None
        self._hushed_until = float("-inf")
        self.requests = PendingRequests(self)
        self.streams = Streams(self)
        self.datagrams = Datagrams(self)
        self._stopping: Outcome[None] | None = None
        #: It is being stopped at the end of the interpreter, and nobody is to notice.
        self._is_leaving = False
        self.accounts = Accounts()

    def abandon_after_fork(self) -> None:
        """Be new and closed in a forked child; port and connections stay with the parent."""
        self.line.abandon_after_fork()
        self.loop.abandon_after_fork()
        self._begin_afresh()

    def stats(self) -> Stats:
        """Return what was counted. Neither waits nor takes a lock, so that a signal handler may ask, too."""
        # Copies of dictionaries and tuples are not interrupted by other threads.
        counters = dict(self.driver.counters)
        counters["dropped_datagrams"] = counters.get("dropped_datagrams", 0) + self.datagrams.dropped
        return Stats(
            self.line.bytes_up,
            self.line.bytes_down,
            counters.get("commands", 0),
            self.loop.wakeups,
            counters,
            self.accounts.read(),
        )

    # -- what carriers use (EngineContext)

    @property
    def has_port(self) -> bool:
        """Whether the port is open."""
        return self.line.is_open

    def require_port(self) -> None:
        """Open the port if it is not open.

        Raises:
            OSError: why it cannot be opened; the same again without trying before the next attempt is due.
        """
        if self.line.require(self.loop, self.driver):
            self._begun()

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
        self.loop.watch(fd, handler, read=read, write=write)

    def forget(self, fd: int) -> None:
        """See :meth:`Loop.forget`."""
        self.loop.forget(fd)

    # -- the round

    def _next_deadline(self) -> float | None:
        datagrams = self.datagrams
        due = datagrams.next_deadline() if datagrams.peers.parked or datagrams.drops.due is not None else None
        if self.line.is_open:
            for moment in (self.driver.next_deadline(), self.line.read_delay_end):
                if moment is not None and (due is None or moment < due):
                    due = moment
        self._due = due
        return due

    def _after(self) -> None:
        if self._due is not None and self._due <= (now := monotonic()):
            self.datagrams.handle_timeout(now)
            self.line.handle_timeout(now)
            if self.line.is_open:
                self.driver.handle_timeout(now)
        self._pump()
        if self._stopping is not None:
            self._continue_stop()
        elif self.is_closed and not self.line.is_open:
            self.loop.stop()
        elif self.is_released and not self._is_in_use:
            self.begin_stop(Outcome(), EXIT_TIMEOUT)
            self._continue_stop()

    @property
    def _is_in_use(self) -> bool:
        return bool(self.streams or self.datagrams or self.datagrams.has_sockets or self.requests)

    def _pump(self) -> None:
        """Carry out everything that the driver wants now."""
        while True:
            driver = self.driver
            data = driver.data_to_send() if driver.out else b""
            if data:
                self.line.send(data)
            event = driver.next_event() if driver.events else None
            if event is not None:
                self._handle(event)
            elif not data:
                is_news = False
                for end in tuple(self.streams.ends.values()):
                    if end.received or end.is_touched:
                        is_news |= end.settle()
                peers = self.datagrams.peers
                if not ((peers.by_key or peers.parked) and peers.settle()) and not is_news:
                    return

    def _handle(self, event: _driver.Event) -> None:
        key = getattr(event, "key", None)
        if self._is_leaving and key is not None and key in self.streams:
            self.streams.left(event)
            return
        if hasattr(event, "request_id"):
            _REQUEST_EVENTS[type(event)](self.requests, event)
        elif key is None:
            _OWN_EVENTS[type(event)](self, event)
        elif key in self.streams:
            _STREAM_EVENTS[type(event)](self.streams, event)
        elif key in self.datagrams:
            _DATAGRAM_EVENTS[type(event)](self.datagrams, event)

    # -- failures

    def _line_lost(self, error: OSError) -> None:
        self.driver.port_lost(error, monotonic())
        self.datagrams.port_lost(error)

    def _crashed(self, error: Exception) -> None:
        """An exception that nothing foresaw: begin anew, so that the next call works."""
        logger.log(logging.ERROR, "internal error, every connection is reset: %r", error, error=error)
        failure = make_error(errno.ECONNRESET, f"internal error: {error!r}")
        failure.__cause__ = error
        # Whatever the state that the failure has left: no step, and no channel, may keep the others from their end.
        run_every(
            self.line.close,
            lambda: self._renew_driver(failure),
            lambda: self.requests.fail_all(failure),
            lambda: self.streams.reset_all(failure),
            # A descriptor that could not be forgotten would hide the next one that gets its number.
            self.loop.forget_all,
            lambda: self.datagrams.reset_all(failure),
            self.datagrams.watch_all,
            lambda: self.stop() if self._stopping is not None else None,
        )

    def _renew_driver(self, failure: OSError) -> None:
        try:
            driver = self._make_driver(self.settings)
        except Exception:
            self.driver.port_lost(failure, monotonic())
            raise
        # What was counted stays counted.
        driver.counters.update(self.driver.counters)
        self.driver = driver
        self.line.attach(self.loop, driver)

    # -- what the driver tells the engine

    def _set_baudrate(self, event: _driver.SetBaudrate) -> None:
        self.line.set_baudrate(event)

    def _log(self, event: _driver.Log) -> None:
        message = mask_secrets(event.message if self._wire.log_payload else without_payload(event.message))
        logger.log(event.level, "%s", message)

    def _stopped(self, event: _driver.Stopped) -> None:
        if self._stopping is not None:
            self.stop()

    # -- the log

    def _is_hushed(self) -> bool:
        """Whether the modem is busy with what a handler of logging sends, or was a moment ago."""
        now = monotonic()
        if self._has_traffic_of_handlers():
            self._hushed_until = now + HUSH_TIME
        return now < self._hushed_until

    def _has_traffic_of_handlers(self) -> bool:
        keys = (*self.streams.keys_for_logs(), *self.datagrams.keys_for_logs())
        return self.requests.has_for_logs or not all(map(self.driver.table.is_settled, keys))

    # -- options

    def keys_of(self, channel: Channel) -> list[int]:
        if isinstance(channel, DatagramChannel):
            return self.datagrams.keys_of(channel)
        assert isinstance(channel, StreamChannel)
        key = self.streams.key_of(channel)
        return [] if key is None else [key]

    def set_option(self, channel: Channel, name: str, value: float) -> None:
        for key in self.keys_of(channel):
            self.driver.set_option(key, name, value)

    def detach(self, channel: Channel) -> None:
        if isinstance(channel, DatagramChannel):
            self.datagrams.detach(channel)
        elif isinstance(channel, StreamChannel):
            self.streams.abandon(channel)
        channel.discard()

    # -- the end

    def begin_stop(self, stopped: Outcome[None], timeout: float) -> None:
        if self._stopping is not None:
            self._stopping.add_done_callback(lambda _: fulfil(stopped, None))
            return
        self._stopping = stopped
        self.requests.cancel_all(make_error(errno.ENODEV, f"the modem at {self.url} was closed"))
        self.datagrams.close_all()
        self.streams.close_all(timeout)

    def leave(self, left: Outcome[None]) -> None:
        self._is_leaving = self.loop.is_deaf = True
        if self._stopping is not None:
            self._stopping.add_done_callback(lambda _: fulfil(left, None))
            return
        self._stopping = left
        self.requests.leave()
        self.datagrams.leave()
        self.streams.leave(EXIT_TIMEOUT)

    def _continue_stop(self) -> None:
        if not self.line.is_open:
            self.stop()
        elif not self.streams and not self.datagrams:
            self.driver.shut_down(monotonic())
            self._pump()

    def stop(self) -> None:
        stopped, self._stopping = self._stopping, None
        failure = make_error(errno.ECONNRESET, f"the modem at {self.url} was closed")
        if not self._is_leaving:
            run_every(lambda: self.streams.reset_all(failure), lambda: self.datagrams.reset_all(failure))
        run_every(
            self.line.close,
            lambda: self.driver.port_lost(failure, monotonic()),
            self._discard_events,
            self.loop.stop,
        )
        if stopped is not None:
            fulfil(stopped, None)

    def _discard_events(self) -> None:
        while self.driver.next_event() is not None:
            pass


_REQUEST_EVENTS: dict[type, Callable[[PendingRequests, Any], None]] = {
    _driver.RequestDone: PendingRequests.done,
    _driver.RequestFailed: PendingRequests.failed,
    _driver.RequestProgress: PendingRequests.progress,
}

_OWN_EVENTS: dict[type, Callable[[EngineCore, Any], None]] = {
    _driver.SetBaudrate: EngineCore._set_baudrate,
    _driver.Log: EngineCore._log,
    _driver.Stopped: EngineCore._stopped,
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
    _driver.PeerClosed: lambda datagrams, event: None,  # means nothing without a stream
    _driver.ConnectionReset: Datagrams.reset,
    _driver.ConnectionEnded: Datagrams.ended,
}
