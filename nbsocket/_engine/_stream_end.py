"""The engine's end of one TCP connection: bytes between its channel and the driver. Thread: the engine's."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

from nbsocket._channel import ChannelState, StreamChannel
from nbsocket._engine._context import EngineContext
from nbsocket._engine._log import EngineLog
from nbsocket._engine._poller import Ready
from nbsocket._engine._stats import ConnectionStats
from nbsocket._errors import make_error
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome, fail

__all__ = ["DEFAULT_LINGER", "StreamEnd"]

logger = EngineLog("nbsocket")

#: Seconds after close() that data may wait for its acknowledgement, unless SO_LINGER says otherwise: the time that the
#: network may be away from a moving modem.
DEFAULT_LINGER = 60.0


class StreamEnd:
    """One connection on the way between a channel and the driver, which takes the application's bytes from it."""

    def __init__(
        self,
        context: EngineContext,
        channel: StreamChannel,
        outcome: Outcome[None],
        name_of: Callable[[str], str | None],
        finished: Callable[[StreamEnd], None],
    ) -> None:
        """Carry a channel; nothing happens before it is watched.

        Args:
            context: what the engine offers.
            channel: the application's connection.
            outcome: of the attempt to connect.
            name_of: gives the name that an address was looked up by.
            finished: told when the application's end was closed for good.
        """
        self._context = context
        self.channel = channel
        self.outcome = outcome
        self._name_of = name_of
        self._finished = finished
        #: The driver's key; 0: the driver has not given it, and takes nothing yet.
        self.key = 0
        #: When it was asked for.
        self.begun = monotonic()
        #: The file descriptor's number, kept after the end is closed.
        self.fd = channel.engine_end.fileno()
        #: It was made, and its end has not been told yet.
        self.is_told = False
        #: The driver knows that the application has data; the descriptor is not watched for more.
        self._is_announced = False
        #: What the descriptor is watched for (reading, writing); None: it is not watched.
        self._watched: tuple[bool, bool] | None = None
        #: The application writes no more; it has closed both directions.
        self.is_finished = False
        self.is_gone = False
        #: The peer ended the stream; the modem has the connection no more.
        self.has_peer_closed = False
        self.is_ended = False
        #: The program is over, and nobody is to notice what becomes of the connection.
        self.is_left = False
        #: The driver took data since the last look.
        self.is_touched = False
        #: What came since then: handed over together, for each hand-over may wake the application's thread.
        self.received: list[bytes] = []
        #: Settled when the modem has the connection no more.
        self.over: Outcome[None] = Outcome()

    def take(self, max_bytes: int) -> bytes:
        """See :class:`nbsocket._driver.Source`."""
        if not self.key:
            return b""
        self.is_touched = True
        return self.channel.take(max_bytes)

    def account(self, is_open: bool) -> ConnectionStats:
        """Give the account of the connection."""
        host, port = (self.channel.peername or ("", 0))[:2]
        return ConnectionStats("TCP", str(host), int(port), self.channel.bytes_up, self.channel.bytes_down, is_open)

    def __str__(self) -> str:
        host, port = (self.channel.peername or ("?", 0))[:2]
        return f"TCP {self._name_of(str(host)) or host}:{port}"

    @property
    def traffic(self) -> str:
        """What the application has sent and received."""
        return f"{self.channel.bytes_up} B up, {self.channel.bytes_down} B down"

    def deliver(self) -> bool:
        """Hand over what came; too much that nobody reads ends the connection, for the modem cannot be stopped.

        Returns:
            False when the connection was given up.
        """
        data = self.received[0] if len(self.received) == 1 else b"".join(self.received)
        self.received.clear()
        if self.channel.is_over() or not data:
            return True
        if self.channel.deliver(data):
            self.watch()
            return True
        host, port = (self.channel.peername or ("?", 0))[:2]
        message = "%s port %s is reset: the application does not read what it receives"
        logger.log(logging.WARNING, message, host, port)
        self.cut(make_error(errno.ECONNRESET, "the application does not read what it receives"))
        self._context.driver.abort(self.key, monotonic())
        return False

    def settle(self) -> bool:
        """Hand over what came; tell the driver of what is left after it took data, or watch for more.

        Returns:
            Whether the driver was told anything.
        """
        if self.received and not self.deliver():
            return True
        if not self.is_touched:
            return False
        self.is_touched = False
        size = self.channel.available()
        if size:
            self._context.driver.data_available(self.key, size, monotonic())
            return True
        self._is_announced = False
        self.watch()
        return False

    def cut(self, error: OSError) -> None:
        """Cut it: the application gets ECONNRESET after what was received, or its attempt to connect fails."""
        if self.is_told:
            self.is_told = False
            logger.log(logging.INFO, "%s cut, %s: %s", self, self.traffic, error.strerror)
        self.let_go()
        if self.channel.state is ChannelState.CONNECTING:
            self.channel.failed(error)
        else:
            self.channel.reset(error)
        fail(self.outcome, error)

    def _ready(self, ready: Ready) -> None:
        channel = self.channel
        if ready.is_writable:
            channel.flush()
        if self.has_peer_closed:
            self._written_in_vain(ready)
        elif ready.is_hung_up:
            self._closed()
        elif ready.is_readable and not self._is_announced:
            self._written()
        self.watch()

    def _written(self) -> None:
        size = self.channel.available()
        if size:
            self._is_announced = True
            self._context.driver.data_available(self.key, size, monotonic())
        elif self.channel.is_at_end():
            self.is_finished = True
            self._context.driver.half_close(self.key, self._linger, monotonic())

    def _written_in_vain(self, ready: Ready) -> None:
        """The application wrote or closed after the peer had ended the stream, and so the connection."""
        if ready.is_readable or ready.is_hung_up:
            self.is_finished = True
            self.is_gone = ready.is_hung_up
            self.channel.discard_written()

    def _closed(self) -> None:
        """The application closed its end, with or without data left in it."""
        self.is_finished = self.is_gone = True
        channel = self.channel
        if channel.state is ChannelState.CONNECTING or channel.linger == 0:
            self._context.driver.abort(self.key, monotonic())
        else:
            self._context.driver.end_of_data(self.key, self._linger, monotonic())

    @property
    def _linger(self) -> float:
        linger = self.channel.linger
        return DEFAULT_LINGER if linger is None else linger

    def watch(self) -> None:
        """Watch for what is of interest now; a channel with nothing left to do is finished."""
        if self.is_left:
            return
        channel = self.channel
        is_due = channel.is_due_to_finish
        if (is_due and self.is_finished) or (self.is_gone and self.is_ended):
            self.finish()
        elif is_due:
            channel.end_reading()
        if channel.is_over():
            return
        if self.is_gone:
            self._forget()
            return
        wants_more = channel.state is ChannelState.CONNECTED and not self._is_announced
        wants_read = (wants_more or self.has_peer_closed) and not self.is_finished
        wants = (wants_read, channel.wants_write)
        if wants != self._watched:
            self._watched = wants
            self._context.watch(self.fd, self._ready, read=wants[0], write=wants[1])

    def finish(self) -> None:
        """Close the application's end in order: end of file after what was received."""
        self.let_go()
        self.channel.finish()
        self._finished(self)

    def let_go(self) -> None:
        """Watch the descriptor no more."""
        if not self.channel.is_over():
            self._forget()

    def _forget(self) -> None:
        self._watched = None
        self._context.forget(self.fd)
