"""What the modem's radio leads to: the contract between the modem and a network, and a network in memory.

Handles are numbers the modem chooses; a handle is used once. Nothing blocks, nothing raises for what a peer does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from nbsocket._dataclass import dataclass

from ._hosts import LoopbackTarget


@dataclass(frozen=True, slots=True)
class Opened:
    """Outcome of :meth:`Network.open`."""

    handle: int
    #: 0, 566 refused, 569 timed out, 556 local port taken, 554 no socket
    result: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes of a stream, or exactly one datagram (which may be empty)."""

    handle: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The peer ended a TCP connection; everything it sent before has arrived."""

    handle: int
    is_reset: bool


NetworkEvent = Opened | Arrived | Ended


class Network(ABC):
    """The far side of the radio."""

    @abstractmethod
    def open(self, handle: int, service: str, target: LoopbackTarget | str, local_port: int, now: float) -> None:
        """Begin to connect; ``Opened`` tells the outcome (never, when ``target`` is "timeout").

        Args:
            handle: not used before.
            service: "TCP" or "UDP".
            target: where to, or "refused" or "timeout".
            local_port: 0 for any.
        """

    @abstractmethod
    def send(self, handle: int, data: bytes, now: float) -> None:
        """Take all of ``data``: bytes of a stream or one datagram. The caller bounds what is unacknowledged."""

    @abstractmethod
    def unacknowledged(self, handle: int) -> int:
        """Return how many bytes of a stream the peer has not acknowledged."""

    @abstractmethod
    def finish(self, handle: int) -> None:
        """Close in order: what was sent arrives, then FIN. The handle is gone."""

    @abstractmethod
    def vanish(self, handle: int) -> None:
        """Lose the connection without telling the peer; RST only if it ever says something. The handle is gone."""

    @abstractmethod
    def set_receiving(self, handle: int, is_on: bool) -> None:
        """Stop or resume taking data from the peer (TCP: its window closes)."""

    @abstractmethod
    def poll(self, now: float) -> list[NetworkEvent]:
        """Return what has happened, in order."""

    @abstractmethod
    def next_deadline(self) -> float | None:
        """Return when :meth:`poll` has something, file descriptors aside; a time in the past means now."""

    def fileno(self) -> int | None:
        """Return a file descriptor that is readable when :meth:`poll` has something, or None."""
        return None

    def close(self) -> None:  # noqa: B027  # nothing to close is the usual case
        """Let go of everything."""


# ---- in memory, for tests under a virtual clock


class ModelConnection:
    """The peer's side of one connection: what it got, and what it does.

    Set ``acknowledges = False`` to make a peer that acknowledges nothing more, as on a dead link.
    """

    def __init__(
        self, network: ModelNetwork, handle: int, service: str, target: LoopbackTarget, local_port: int
    ) -> None:
        self.handle = handle
        self.service = service
        self.target = target
        self.local_port = local_port
        #: everything received, in order
        self.received = bytearray()
        #: the same, one item a send (a datagram each for UDP)
        self.messages: list[bytes] = []
        self.acknowledges = True
        #: the modem has sent FIN
        self.is_finished = False
        #: the modem lost the connection without telling
        self.is_vanished = False
        self.unacknowledged = 0
        self.is_receiving = True
        self._network = network
        self._pending: deque[NetworkEvent] = deque()

    def send(self, data: bytes) -> None:
        """Send bytes, or one datagram, to the modem."""
        self._pending.append(Arrived(self.handle, bytes(data)))

    def close(self) -> None:
        """Send FIN, after all data."""
        self._pending.append(Ended(self.handle, False))

    def reset(self) -> None:
        """Send RST, after all data."""
        self._pending.append(Ended(self.handle, True))

    def acknowledge(self) -> None:
        """Acknowledge what was held back, and everything from now on."""
        self.acknowledges = True
        self.unacknowledged = 0

    @property
    def is_open(self) -> bool:
        """The modem has not closed it."""
        return not (self.is_finished or self.is_vanished)

    def take_pending(self) -> list[NetworkEvent]:
        """Return the next thing the modem may see: it may stop receiving after each (for :class:`ModelNetwork`)."""
        return [self._pending.popleft()] if self.has_pending else []

    @property
    def has_pending(self) -> bool:
        """Something waits for the modem to take it."""
        return bool(self._pending) and self.is_receiving


PeerHandler = Callable[[ModelConnection, bytes], None]


class ModelNetwork(Network):
    """Accepts every connection and remembers it in ``connections``; ``serve()`` and ``refuse()`` change that.

    ``handler(connection, data)`` of :meth:`serve` is called for each send, and once with ``b""`` when a TCP connection
    was made (``data`` is also empty for an empty datagram).
    """

    def __init__(self, echo: bool = False) -> None:
        self.connections: list[ModelConnection] = []
        self._default: PeerHandler | None = (lambda connection, data: connection.send(data)) if echo else None
        self._handlers: dict[int, PeerHandler] = {}
        self._refused: set[int] = set()
        self._silent: set[int] = set()
        self._live: dict[int, ModelConnection] = {}
        self._events: deque[NetworkEvent] = deque()

    def serve(self, port: int, handler: PeerHandler) -> None:
        """Call ``handler`` for what is sent to ``port`` of any host."""
        self._handlers[port] = handler

    def refuse(self, port: int, *, silently: bool = False) -> None:
        """Refuse connections to ``port`` (TCP), or never answer them."""
        (self._silent if silently else self._refused).add(port)

    def open(self, handle: int, service: str, target: LoopbackTarget | str, local_port: int, now: float) -> None:
        """See :meth:`Network.open`."""
        if isinstance(target, str):
            self._open_nowhere(handle, service, target)
            return
        if service == "TCP" and target.port in self._silent:
            return
        if service == "TCP" and target.port in self._refused:
            self._events.append(Opened(handle, 566))
            return
        connection = ModelConnection(self, handle, service, target, local_port)
        self.connections.append(connection)
        self._live[handle] = connection
        self._events.append(Opened(handle, 0))
        handler = self._handlers.get(target.port)
        if service == "TCP" and handler is not None:
            handler(connection, b"")

    def _open_nowhere(self, handle: int, service: str, verdict: str) -> None:
        if service == "UDP":
            self._events.append(Opened(handle, 0))
        elif verdict == "refused":
            self._events.append(Opened(handle, 566))

    def send(self, handle: int, data: bytes, now: float) -> None:
        """See :meth:`Network.send`."""
        connection = self._live.get(handle)
        if connection is None:
            return
        if not connection.acknowledges:
            connection.unacknowledged += len(data)
        connection.received += data
        connection.messages.append(data)
        handler = self._handlers.get(connection.target.port, self._default)
        if handler is not None:
            handler(connection, data)

    def unacknowledged(self, handle: int) -> int:
        """See :meth:`Network.unacknowledged`."""
        connection = self._live.get(handle)
        return 0 if connection is None else connection.unacknowledged

    def finish(self, handle: int) -> None:
        """See :meth:`Network.finish`."""
        connection = self._live.pop(handle, None)
        if connection is not None:
            connection.is_finished = True

    def vanish(self, handle: int) -> None:
        """See :meth:`Network.vanish`."""
        connection = self._live.pop(handle, None)
        if connection is not None:
            connection.is_vanished = True

    def set_receiving(self, handle: int, is_on: bool) -> None:
        """See :meth:`Network.set_receiving`."""
        if handle in self._live:
            self._live[handle].is_receiving = is_on

    def poll(self, now: float) -> list[NetworkEvent]:
        """See :meth:`Network.poll`."""
        events: list[NetworkEvent] = list(self._events)
        self._events.clear()
        for connection in self._live.values():
            events += connection.take_pending()
        return events

    def next_deadline(self) -> float | None:
        """See :meth:`Network.next_deadline`."""
        if self._events or any(connection.has_pending for connection in self._live.values()):
            return float("-inf")
        return None
