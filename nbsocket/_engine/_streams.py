"""Carries TCP connections between their channels and the driver."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from nbsocket._channel import State, StreamChannel
from nbsocket._driver import Connected, ConnectFailed, ConnectionEnded, ConnectionReset, DataReceived, Event, PeerClosed
from nbsocket._engine._context import EngineContext
from nbsocket._engine._last_resort import run_every
from nbsocket._engine._log import EngineLog
from nbsocket._engine._stream_end import StreamEnd
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome, fail, fulfil

__all__ = ["Streams"]

logger = EngineLog("nbsocket")


class Streams:
    """All TCP connections of one engine. Thread: the engine's."""

    def __init__(self, context: EngineContext) -> None:
        """Start with none."""
        self._context = context
        self._links: dict[int, StreamEnd] = {}
        self._keys: dict[StreamChannel, int] = {}
        #: The module has no such connection any more, but the application still has the descriptor.
        self._ended: set[StreamEnd] = set()

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
            link = StreamEnd(self._context, channel, outcome, self._context.accounts.name_of, self._ended.discard)
            key = self._context.driver.open("TCP", host, port, local_port, link, monotonic())
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else make_error(errno.EINVAL, str(error))
            channel.failed(failure)
            fail(outcome, failure)
            return
        link.key = key
        self._links[key] = link
        self._keys[channel] = key
        self._context.accounts.begin(link, link.account)
        for name, value in channel.options.items():
            self._context.driver.set_option(key, name, value)
        link.watch()

    def abandon(self, channel: StreamChannel) -> None:
        """Give a connection up at once."""
        link = self._links.get(self._keys.get(channel, -1))
        if link is None:
            channel.abandon()
            return
        link.let_go()
        fail(link.outcome, make_error(errno.ECONNABORTED, "the connection was given up"))
        channel.abandon()
        self._context.driver.abort(link.key, monotonic())

    def interrupt(self, channel: StreamChannel) -> None:
        """Fail an attempt to connect, because the application shut the socket down; nothing happens after its end."""
        link = self._links.get(self._keys.get(channel, -1))
        if link is None or channel.state is not State.CONNECTING:
            return
        error = make_error(errno.ECONNRESET, "the socket was shut down while it was being connected")
        link.let_go()
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
        for link in (*self._links.values(), *self._ended):
            link.is_left = True
        for link in tuple(self._links.values()):
            link.let_go()
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

    def _end_in_order(self, link: StreamEnd, error: OSError) -> None:
        if link.key in self._links:
            if link.deliver() and not link.channel.is_over() and not link.channel.is_due_to_finish:
                link.cut(error)
            self._forget(link)
        if link in self._ended:
            link.finish()

    def _end_for_sure(self, link: StreamEnd, error: OSError) -> None:
        """Whatever is left of a connection whose end in order failed; nothing to do for the others."""
        self._remove(link)
        link.is_ended = True
        self._ended.discard(link)
        run_every(
            lambda: link.let_go(),
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
            if link.received or link.is_touched:
                is_news |= link.settle()
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
        link.watch()
        fulfil(link.outcome, None)

    def connect_failed(self, event: ConnectFailed) -> None:
        """It could not be made."""
        link = self._links[event.key]
        if logger.is_on(logging.INFO):
            seconds, reason = monotonic() - link.begun, event.error.strerror
            logger.log(logging.INFO, "%s not connected after %.1f s: %s", link, seconds, reason)
        link.let_go()
        link.channel.failed(event.error)
        fail(link.outcome, event.error)
        self._forget(link)

    def data_received(self, event: DataReceived) -> None:
        """Bytes for the application."""
        self._links[event.key].received.append(event.data)

    def peer_closed(self, event: PeerClosed) -> None:
        """End of file for the application."""
        link = self._links[event.key]
        if not link.deliver():
            return
        link.has_peer_closed = True
        link.channel.end()
        link.watch()

    def reset(self, event: ConnectionReset) -> None:
        """The connection was cut."""
        link = self._links[event.key]
        if link.deliver():
            link.cut(event.error)

    def ended(self, event: ConnectionEnded) -> None:
        """The module has no such connection any more."""
        link = self._links[event.key]
        link.deliver()
        channel = link.channel
        if channel.state is State.CONNECTING:
            error = make_error(errno.ECONNABORTED, "the connection was given up")
            link.let_go()
            channel.failed(error)
            fail(link.outcome, error)
        elif not link.is_gone and not link.has_peer_closed and not channel.is_over():
            link.cut(make_error(errno.ECONNRESET, "the connection was closed with the modem"))
        self._forget(link)
        link.watch()

    def _forget(self, link: StreamEnd) -> None:
        if link.is_told:
            link.is_told = False
            logger.log(logging.INFO, "%s closed, %s", link, link.traffic)
        self._remove(link)
        link.is_ended = True
        if not link.channel.is_over():
            self._ended.add(link)
        self._context.accounts.end(link)
        fulfil(link.over, None)

    def _remove(self, link: StreamEnd) -> None:
        self._links.pop(self._keys.pop(link.channel, -1), None)
