"""Carries TCP connections between their channels and the driver."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from nbsocket._channel import State, StreamChannel
from nbsocket._dataclass import dataclass, field
from nbsocket._driver import Connected, ConnectFailed, ConnectionEnded, ConnectionReset, DataReceived, Event, PeerClosed
from nbsocket._engine._context import EngineContext
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._log import EngineLog
from nbsocket._engine._poller import Ready
from nbsocket._engine._stats import ConnectionStats
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome, fail, fulfil

__all__ = ["DEFAULT_LINGER", "Streams"]

logger = EngineLog("nbsocket")

#: Seconds after close() that data may wait for its acknowledgement, unless SO_LINGER says otherwise: the time that the
#: network may be away from a moving module.
DEFAULT_LINGER = 60.0


@dataclass(eq=False)
class _Link:
    """One connection on the way between a channel and the driver."""

    key: int
    channel: StreamChannel
    outcome: Outcome[None]
    #: Gives the name that an address was looked up by.
    name_of: Callable[[str], str | None]
    #: When it was asked for.
    begun: float
    #: It was made, and its end has not been told yet.
    is_told: bool = False
    #: The driver knows that the application has data; the descriptor is not watched for more.
    is_announced: bool = False
    #: The application writes no more.
    is_finished: bool = False
    #: The application has closed both directions.
    is_gone: bool = False
    #: The peer ended the stream.
    has_peer_closed: bool = False
    #: The driver took data since the last look.
    is_touched: bool = False
    #: What came since then: handed over together, for each hand-over may wake the application's thread.
    received: list[bytes] = field(default_factory=list)
    #: Settled when the module has the connection no more.
    over: Outcome[None] = field(default_factory=Outcome)
    #: Where the file descriptor's number is kept after its end is closed.
    fd: int = field(init=False)

    def __post_init__(self) -> None:
        self.fd = self.channel.engine_end.fileno()

    def take(self, max_bytes: int) -> bytes:
        """See :class:`Source`."""
        self.is_touched = True
        return self.channel.take(max_bytes)

    def account(self, is_open: bool) -> ConnectionStats:
        """Give the account of the connection."""
        host, port = (self.channel.peername or ("", 0))[:2]
        return ConnectionStats("TCP", str(host), int(port), self.channel.bytes_up, self.channel.bytes_down, is_open)

    def __str__(self) -> str:
        host, port = (self.channel.peername or ("?", 0))[:2]
        return f"TCP {self.name_of(str(host)) or host}:{port}"

    @property
    def traffic(self) -> str:
        """What the application has sent and received."""
        return f"{self.channel.bytes_up} B up, {self.channel.bytes_down} B down"


class _Source:
    """What the driver takes from before it has given the key of the connection."""

    link: _Link | None = None

    def take(self, max_bytes: int) -> bytes:
        """See :class:`nbsocket._driver.Source`."""
        return self.link.take(max_bytes) if self.link is not None else b""


class Streams:
    """All TCP connections of one engine. Thread: the engine's."""

    def __init__(self, context: EngineContext) -> None:
        """Start with none."""
        self._context = context
        self._links: dict[int, _Link] = {}
        self._keys: dict[StreamChannel, int] = {}
        #: The module has no such connection any more, but the application still has the descriptor.
        self._ended: set[_Link] = set()
        #: The program is over.
        self._is_leaving = False

    def __len__(self) -> int:
        return len(self._links)

    def __contains__(self, key: int) -> bool:
        return key in self._links

    def key_of(self, channel: StreamChannel) -> int | None:
        """Return the driver's key while there is one."""
        return self._keys.get(channel)

    def end_of(self, channel: StreamChannel) -> Outcome[None] | None:
        """Return what is settled at the end of a connection that the application has closed.

        Returns:
            None when it has ended already, or when somebody else still has a descriptor of it.
        """
        link = self._links.get(self._keys.get(channel, -1))
        return link.over if link is not None and link.is_gone else None

    def keys_for_logs(self) -> Iterator[int]:
        """Give the driver's keys of what handlers of logging use."""
        return (link.key for link in self._links.values() if link.channel.is_for_logs)

    def connect(self, channel: StreamChannel, host: str, port: int, local_port: int, outcome: Outcome[None]) -> None:
        """Have the driver open a connection; the outcome is told by ``outcome`` and the channel."""
        try:
            if channel.state is not State.CONNECTING:
                raise make_error(errno.ECONNABORTED, "the connection was given up")
            self._context.require_service()
            source = _Source()
            key = self._context.driver.open("TCP", host, port, local_port, source, monotonic())
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else make_error(errno.EINVAL, str(error))
            channel.failed(failure)
            fail(outcome, failure)
            return
        link = source.link = _Link(key, channel, outcome, self._context.accounts.name_of, monotonic())
        self._links[key] = link
        self._keys[channel] = key
        self._context.accounts.begin(link, link.account)
        for name, value in channel.options.items():
            self._context.driver.set_option(key, name, value)
        self._watch(link)

    def abandon(self, channel: StreamChannel) -> None:
        """Give a connection up at once."""
        link = self._links.get(self._keys.get(channel, -1))
        if link is None:
            channel.abandon()
            return
        self._let_go(link)
        fail(link.outcome, make_error(errno.ECONNABORTED, "the connection was given up"))
        channel.abandon()
        self._context.driver.abort(link.key, monotonic())

    def interrupt(self, channel: StreamChannel) -> None:
        """Fail an attempt to connect, because the application shut the socket down; nothing happens after its end."""
        link = self._links.get(self._keys.get(channel, -1))
        if link is None or channel.state is not State.CONNECTING:
            return
        error = make_error(errno.ECONNRESET, "the socket was shut down while it was being connected")
        self._let_go(link)
        channel.failed(error)
        fail(link.outcome, error)
        self._context.driver.abort(link.key, monotonic())

    def close_all(self, linger: float) -> None:
        """End every connection as if its application had closed it."""
        for link in tuple(self._links.values()):
            if link.channel.state is State.CONNECTING:
                self._context.driver.abort(link.key, monotonic())
            else:
                link.is_finished = True
                self._context.driver.end_of_data(link.key, linger, monotonic())

    def unsent(self) -> int:
        """Bytes that applications have written and the module does not have yet. Thread: any, for information."""
        total = 0
        for key, link in tuple(self._links.items()):
            with suppress(OSError, ValueError):  # it may end meanwhile
                total += link.channel.unsent + self._context.driver.table.unsent(key)
        return total

    def leave(self, linger: float) -> None:
        """The program is over: end every connection as if it had been closed, but leave the descriptors as they are.

        Whoever still waits at one of them is not woken up.
        """
        self._is_leaving = True
        for link in tuple(self._links.values()):
            self._let_go(link)
            link.is_finished = True
            if link.channel.state is State.CONNECTING:
                self._context.driver.abort(link.key, monotonic())
            else:
                self._context.driver.end_of_data(link.key, linger, monotonic())

    def left(self, event: Event) -> None:
        """What the driver tells after :meth:`leave`."""
        if isinstance(event, (ConnectFailed, ConnectionEnded)):
            link = self._links.pop(event.key)
            self._keys.pop(link.channel, None)

    def reset_all(self, error: OSError) -> None:
        """Cut every connection; the driver is not asked."""
        for link in (*self._links.values(), *self._ended):
            run_every(partial(self._end_in_order, link, error), partial(self._end_for_sure, link, error))

    def _end_in_order(self, link: _Link, error: OSError) -> None:
        if link.key in self._links:
            if self._deliver(link) and not link.channel.is_over() and not link.channel.is_due_to_finish:
                self._cut(link, error)
            self._forget(link)
        if link in self._ended:
            self._finish(link)

    def _end_for_sure(self, link: _Link, error: OSError) -> None:
        """Whatever is left of a connection whose end in order failed; nothing to do for the others."""
        self._links.pop(link.key, None)
        self._keys.pop(link.channel, None)
        self._ended.discard(link)
        run_every(
            lambda: self._let_go(link),
            lambda: link.channel.sever(error),
            lambda: fail(link.outcome, error),
            lambda: link.outcome.set_exception(error),
        )

    def settle(self) -> bool:
        """Hand over what came; tell the driver of what is left after it took data, or watch for more.

        Returns:
            Whether the driver was told anything.
        """
        is_news = False
        for link in tuple(self._links.values()):
            if link.received and not self._deliver(link):
                is_news = True
                continue
            if not link.is_touched:
                continue
            link.is_touched = False
            size = link.channel.available()
            if size:
                self._context.driver.data_available(link.key, size, monotonic())
                is_news = True
            else:
                link.is_announced = False
                self._watch(link)
        return is_news

    # What the driver tells.

    def connected(self, event: Connected) -> None:
        """The connection is there."""
        link = self._links[event.key]
        link.channel.opened(self._context.driver.local_address)
        link.is_told = True
        if logger.is_on(logging.INFO):
            number = self._context.driver.table.socket_id(event.key)
            logger.log(logging.INFO, "%s connected in %.1f s (socket %s)", link, monotonic() - link.begun, number)
        self._watch(link)
        fulfil(link.outcome, None)

    def connect_failed(self, event: ConnectFailed) -> None:
        """It could not be made."""
        link = self._links[event.key]
        if logger.is_on(logging.INFO):
            seconds, reason = monotonic() - link.begun, event.error.strerror
            logger.log(logging.INFO, "%s not connected after %.1f s: %s", link, seconds, reason)
        self._let_go(link)
        link.channel.failed(event.error)
        fail(link.outcome, event.error)
        self._forget(link)

    def data_received(self, event: DataReceived) -> None:
        """Bytes for the application."""
        self._links[event.key].received.append(event.data)

    def _deliver(self, link: _Link) -> bool:
        """Hand over what came; too much that nobody reads ends the connection, for the module cannot be stopped.

        Returns:
            False when the connection was given up.
        """
        data = link.received[0] if len(link.received) == 1 else b"".join(link.received)
        link.received.clear()
        if link.channel.is_over() or not data:
            return True
        if link.channel.deliver(data):
            self._watch(link)
            return True
        host, port = (link.channel.peername or ("?", 0))[:2]
        message = "%s port %s is reset: the application does not read what it receives"
        logger.log(logging.WARNING, message, host, port)
        self._cut(link, make_error(errno.ECONNRESET, "the application does not read what it receives"))
        self._context.driver.abort(link.key, monotonic())
        return False

    def peer_closed(self, event: PeerClosed) -> None:
        """End of file for the application."""
        link = self._links[event.key]
        if not self._deliver(link):
            return
        link.has_peer_closed = True
        link.channel.end()
        self._watch(link)

    def reset(self, event: ConnectionReset) -> None:
        """The connection was cut."""
        link = self._links[event.key]
        if self._deliver(link):
            self._cut(link, event.error)

    def ended(self, event: ConnectionEnded) -> None:
        """The module has no such connection any more."""
        link = self._links[event.key]
        self._deliver(link)
        channel = link.channel
        if channel.state is State.CONNECTING:
            error = make_error(errno.ECONNABORTED, "the connection was given up")
            self._let_go(link)
            channel.failed(error)
            fail(link.outcome, error)
        elif not link.is_gone and not link.has_peer_closed and not channel.is_over():
            self._cut(link, make_error(errno.ECONNRESET, "the connection was closed with the modem"))
        self._forget(link)
        self._watch(link)

    # What the application does.

    def _ready(self, link: _Link, ready: Ready) -> None:
        channel = link.channel
        if ready.is_writable:
            channel.flush()
        if link.has_peer_closed:
            self._written_in_vain(link, ready)
        elif ready.is_hung_up:
            self._closed(link)
        elif ready.is_readable and not link.is_announced:
            self._written(link)
        self._watch(link)

    def _written(self, link: _Link) -> None:
        size = link.channel.available()
        if size:
            link.is_announced = True
            self._context.driver.data_available(link.key, size, monotonic())
        elif link.channel.is_at_end():
            link.is_finished = True
            self._context.driver.half_close(link.key, self._linger_of(link), monotonic())

    def _written_in_vain(self, link: _Link, ready: Ready) -> None:
        """The application wrote or closed after the peer had ended the stream, and so the connection."""
        if ready.is_readable or ready.is_hung_up:
            link.is_finished = True
            link.is_gone = ready.is_hung_up
            link.channel.discard_written()

    def _closed(self, link: _Link) -> None:
        """The application closed its end, with or without data left in it."""
        link.is_finished = link.is_gone = True
        channel = link.channel
        if channel.state is State.CONNECTING or channel.linger == 0:
            self._context.driver.abort(link.key, monotonic())
        else:
            self._context.driver.end_of_data(link.key, self._linger_of(link), monotonic())

    @staticmethod
    def _linger_of(link: _Link) -> float:
        linger = link.channel.linger
        return DEFAULT_LINGER if linger is None else linger

    def _watch(self, link: _Link) -> None:
        """Watch for what is of interest now; a channel with nothing left to do is finished."""
        if self._is_leaving:
            return
        channel = link.channel
        is_ended = link.key not in self._links
        if (channel.is_due_to_finish and link.is_finished) or (link.is_gone and is_ended):
            self._finish(link)
        elif channel.is_due_to_finish:
            channel.end_reading()
        if channel.is_over():
            return
        if link.is_gone:
            self._context.forget(link.fd)
            return
        wants_more = channel.state is State.CONNECTED and not link.is_announced
        wants_read = (wants_more or link.has_peer_closed) and not link.is_finished
        self._context.watch(link.fd, lambda ready: self._ready(link, ready), read=wants_read, write=channel.wants_write)

    def _finish(self, link: _Link) -> None:
        self._let_go(link)
        link.channel.finish()
        self._ended.discard(link)

    def _cut(self, link: _Link, error: OSError) -> None:
        if link.is_told:
            link.is_told = False
            logger.log(logging.INFO, "%s cut, %s: %s", link, link.traffic, error.strerror)
        self._let_go(link)
        if link.channel.state is State.CONNECTING:
            link.channel.failed(error)
        else:
            link.channel.reset(error)
        fail(link.outcome, error)

    def _let_go(self, link: _Link) -> None:
        if not link.channel.is_over():
            self._context.forget(link.fd)

    def _forget(self, link: _Link) -> None:
        if link.is_told:
            link.is_told = False
            logger.log(logging.INFO, "%s closed, %s", link, link.traffic)
        self._links.pop(link.key, None)
        self._keys.pop(link.channel, None)
        if not link.channel.is_over():
            self._ended.add(link)
        self._context.accounts.end(link)
        fulfil(link.over, None)
