"""A network that exists in memory only: for tests under a virtual clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ._hosts import Target
from ._network import Arrived, Ended, Network, NetworkEvent, Opened


class ModelConnection:
    """The peer's side of one connection: what it got, and what it does.

    Set ``acknowledges = False`` to make a peer that acknowledges nothing more, as on a dead link.
    """

    def __init__(self, network: ModelNetwork, handle: int, service: str, target: Target, local_port: int) -> None:
        self.handle = handle
        self.service = service
        self.target = target
        self.local_port = local_port
        #: everything received, in order
        self.received = bytearray()
        #: the same, one item a send (a datagram each for UDP)
        self.messages: list[bytes] = []
        self.acknowledges = True
        #: the module has sent FIN
        self.is_finished = False
        #: the module lost the connection without telling
        self.is_vanished = False
        self.unacknowledged = 0
        self.is_receiving = True
        self._network = network
        self._pending: deque[NetworkEvent] = deque()

    def send(self, data: bytes) -> None:
        """Send bytes, or one datagram, to the module."""
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
        """The module has not closed it."""
        return not (self.is_finished or self.is_vanished)

    def take_pending(self) -> list[NetworkEvent]:
        """Return the next thing the module may see: it may stop receiving after each (for :class:`ModelNetwork`)."""
        return [self._pending.popleft()] if self.has_pending else []

    @property
    def has_pending(self) -> bool:
        """Something waits for the module to take it."""
        return bool(self._pending) and self.is_receiving


Handler = Callable[[ModelConnection, bytes], None]


class ModelNetwork(Network):
    """Accepts every connection and remembers it in ``connections``; ``serve()`` and ``refuse()`` change that.

    ``handler(connection, data)`` of :meth:`serve` is called for each send, and once with ``b""`` when a TCP connection
    was made (``data`` is also empty for an empty datagram).
    """

    def __init__(self, echo: bool = False) -> None:
        self.connections: list[ModelConnection] = []
        self._default: Handler | None = (lambda connection, data: connection.send(data)) if echo else None
        self._handlers: dict[int, Handler] = {}
        self._refused: set[int] = set()
        self._silent: set[int] = set()
        self._live: dict[int, ModelConnection] = {}
        self._events: deque[NetworkEvent] = deque()

    def serve(self, port: int, handler: Handler) -> None:
        """Call ``handler`` for what is sent to ``port`` of any host."""
        self._handlers[port] = handler

    def refuse(self, port: int, *, silently: bool = False) -> None:
        """Refuse connections to ``port`` (TCP), or never answer them."""
        (self._silent if silently else self._refused).add(port)

    def open(self, handle: int, service: str, target: Target | str, local_port: int, now: float) -> None:
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
