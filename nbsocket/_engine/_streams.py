"""Carries TCP connections between their channels and the driver."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from nbsocket._channel import ChannelState, StreamChannel
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
        #: By the driver's key.
        self.ends: dict[int, StreamEnd] = {}
        self._keys: dict[StreamChannel, int] = {}
        #: The modem has no such connection any more, but the application still has the descriptor.
        self._ended: set[StreamEnd] = set()

    def __len__(self) -> int:
        return len(self.ends)

    def __contains__(self, key: int) -> bool:
        return key in self.ends

    def key_of(self, channel: StreamChannel) -> int | None:
        """Return the driver's key while there is one."""
        return self._keys.get(channel)

    def end_of(self, channel: StreamChannel) -> Outcome[None] | None:
        """Return what is settled at the end of a connection that the application has closed.

        Returns:
            None when it has ended already, or when somebody else still has a descriptor of it.
        """
        end = self.ends.get(self._keys.get(channel, -1))
        return end.over if end is not None and end.is_gone else None

    def keys_for_logs(self) -> Iterator[int]:
        """Give the driver's keys of what handlers of logging use."""
        return (end.key for end in self.ends.values() if end.channel.is_for_logs)

    def connect(self, channel: StreamChannel, host: str, port: int, local_port: int, outcome: Outcome[None]) -> None:
        """Have the driver open a connection; the outcome is told by ``outcome`` and the channel."""
        try:
            if channel.state is not ChannelState.CONNECTING:
                raise make_error(errno.ECONNABORTED, "the connection was given up")
            self._context.require_service()
            end = StreamEnd(self._context, channel, outcome, self._context.accounts.name_of, self._ended.discard)
            key = self._context.driver.open("TCP", host, port, local_port, end, monotonic())
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else make_error(errno.EINVAL, str(error))
            channel.failed(failure)
            fail(outcome, failure)
            return
        end.key = key
        self.ends[key] = end
        self._keys[channel] = key
        self._context.accounts.begin(end, end.account)
        for name, value in channel.options.items():
            self._context.driver.set_option(key, name, value)
        end.watch()

    def abandon(self, channel: StreamChannel) -> None:
        """Give a connection up at once."""
        end = self.ends.get(self._keys.get(channel, -1))
        if end is None:
            channel.abandon()
            return
        end.let_go()
        fail(end.outcome, make_error(errno.ECONNABORTED, "the connection was given up"))
        channel.abandon()
        self._context.driver.abort(end.key, monotonic())

    def interrupt(self, channel: StreamChannel) -> None:
        """Fail an attempt to connect, because the application shut the socket down; nothing happens after its end."""
        end = self.ends.get(self._keys.get(channel, -1))
        if end is None or channel.state is not ChannelState.CONNECTING:
            return
        error = make_error(errno.ECONNRESET, "the socket was shut down while it was being connected")
        end.let_go()
        channel.failed(error)
        fail(end.outcome, error)
        self._context.driver.abort(end.key, monotonic())

    def close_all(self, linger: float) -> None:
        """End every connection as if its application had closed it."""
        for end in tuple(self.ends.values()):
            if end.channel.state is ChannelState.CONNECTING:
                self._context.driver.abort(end.key, monotonic())
            else:
                end.is_finished = True
                self._context.driver.end_of_data(end.key, linger, monotonic())

    def unsent(self) -> int:
        """Bytes that applications have written and the modem does not have yet. Thread: any, for information."""
        total = 0
        for key, end in tuple(self.ends.items()):
            with suppress(OSError, ValueError):  # it may end meanwhile
                total += end.channel.available() + self._context.driver.table.unsent(key)
        return total

    def leave(self, linger: float) -> None:
        """The program is over: end every connection as if it had been closed, but leave the descriptors as they are.

        Whoever still waits at one of them is not woken up.
        """
        for end in (*self.ends.values(), *self._ended):
            end.is_left = True
        for end in tuple(self.ends.values()):
            end.let_go()
            end.is_finished = True
            if end.channel.state is ChannelState.CONNECTING:
                self._context.driver.abort(end.key, monotonic())
            else:
                self._context.driver.end_of_data(end.key, linger, monotonic())

    def left(self, event: Event) -> None:
        """What the driver tells after :meth:`leave`."""
        if isinstance(event, (ConnectFailed, ConnectionEnded)):
            end = self.ends.pop(event.key)
            self._keys.pop(end.channel, None)

    def reset_all(self, error: OSError) -> None:
        """Cut every connection; the driver is not asked."""
        for end in (*self.ends.values(), *self._ended):
            run_every(partial(self._end_in_order, end, error), partial(self._end_for_sure, end, error))

    def _end_in_order(self, end: StreamEnd, error: OSError) -> None:
        if end.key in self.ends:
            if end.deliver() and not end.channel.is_over() and not end.channel.is_due_to_finish:
                end.cut(error)
            self._forget(end)
        if end in self._ended:
            end.finish()

    def _end_for_sure(self, end: StreamEnd, error: OSError) -> None:
        """Whatever is left of a connection whose end in order failed; nothing to do for the others."""
        self._remove(end)
        end.is_ended = True
        self._ended.discard(end)
        run_every(
            lambda: end.let_go(),
            lambda: end.channel.sever(error),
            lambda: fail(end.outcome, error),
            lambda: end.outcome.set_exception(error),
        )

    # What the driver tells.

    def connected(self, event: Connected) -> None:
        """The connection is there."""
        end = self.ends[event.key]
        end.channel.opened(self._context.driver.local_address)
        end.is_told = True
        if logger.is_on(logging.INFO):
            number = self._context.driver.table.socket_id(event.key)
            logger.log(logging.INFO, "%s connected in %.1f s (socket %s)", end, monotonic() - end.begun, number)
        end.watch()
        fulfil(end.outcome, None)

    def connect_failed(self, event: ConnectFailed) -> None:
        """It could not be made."""
        end = self.ends[event.key]
        if logger.is_on(logging.INFO):
            seconds, reason = monotonic() - end.begun, event.error.strerror
            logger.log(logging.INFO, "%s not connected after %.1f s: %s", end, seconds, reason)
        end.let_go()
        end.channel.failed(event.error)
        fail(end.outcome, event.error)
        self._forget(end)

    def data_received(self, event: DataReceived) -> None:
        """Bytes for the application."""
        self.ends[event.key].received.append(event.data)

    def peer_closed(self, event: PeerClosed) -> None:
        """End of file for the application."""
        end = self.ends[event.key]
        if not end.deliver():
            return
        end.has_peer_closed = True
        end.channel.end()
        end.watch()

    def reset(self, event: ConnectionReset) -> None:
        """The connection was cut."""
        end = self.ends[event.key]
        if end.deliver():
            end.cut(event.error)

    def ended(self, event: ConnectionEnded) -> None:
        """The modem has no such connection any more."""
        end = self.ends[event.key]
        end.deliver()
        channel = end.channel
        if channel.state is ChannelState.CONNECTING:
            error = make_error(errno.ECONNABORTED, "the connection was given up")
            end.let_go()
            channel.failed(error)
            fail(end.outcome, error)
        elif not end.is_gone and not end.has_peer_closed and not channel.is_over():
            end.cut(make_error(errno.ECONNRESET, "the connection was closed with the modem"))
        self._forget(end)
        end.watch()

    def _forget(self, end: StreamEnd) -> None:
        if end.is_told:
            end.is_told = False
            logger.log(logging.INFO, "%s closed, %s", end, end.traffic)
        self._remove(end)
        end.is_ended = True
        if not end.channel.is_over():
            self._ended.add(end)
        self._context.accounts.end(end)
        fulfil(end.over, None)

    def _remove(self, end: StreamEnd) -> None:
        self.ends.pop(self._keys.pop(end.channel, -1), None)
