"""Datagram sockets of the application and the peers that they write to, with what waits for each."""

from __future__ import annotations

from collections import deque

from nbsocket._channel import DatagramChannel
from nbsocket._dataclass import dataclass, field
from nbsocket._engine._stats import ConnectionStats
from nbsocket._runtime._clock import monotonic

__all__ = ["DATAGRAM_COST", "MAX_WAITING", "MAX_WAITING_SIZE", "Backlog", "DatagramSocket", "Peer"]

#: Datagrams of one socket that wait for the modem's line, beyond the kernel's buffer.
MAX_WAITING = 16

#: Bytes of one socket that wait for one of the modem's sockets; then the kernel holds the application back.
MAX_WAITING_SIZE = 64 * 1024

#: What a waiting datagram costs besides its bytes.
DATAGRAM_COST = 128


@dataclass(eq=False)
class Backlog:
    """Everything that waits."""

    #: Bytes, the cost of each datagram included.
    size: int = 0


@dataclass(eq=False)
class DatagramSocket:
    """One datagram socket of the application."""

    backlog: Backlog
    channel: DatagramChannel
    fd: int
    shadow_fd: int
    peers: dict[tuple[str, int], Peer] = field(default_factory=dict)
    #: The application has closed it.
    is_over: bool = False
    #: The modem has had the port that it is bound to.
    has_had_port: bool = False
    #: Datagrams that wait for the line, and bytes of those that wait for a socket of the modem.
    ready_number: int = 0
    parked_size: int = 0
    #: Datagrams lost in the channel that are counted already.
    dropped_before: int = 0

    @property
    def has_room(self) -> bool:
        """Whether another datagram may be read."""
        return self.ready_number < MAX_WAITING and self.parked_size < MAX_WAITING_SIZE


@dataclass(eq=False)
class Peer:
    """One peer of one socket. The driver's source of datagrams for it."""

    socket: DatagramSocket
    host: str
    port: int
    #: The driver's key; None: it waits for one of the modem's sockets.
    key: int | None = None
    #: When each was written, and what.
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    is_open: bool = False
    #: The driver was told to close it after what waits.
    is_finished: bool = False
    #: The driver took something since the last look.
    is_touched: bool = False
    #: Times that it was opened again without a datagram that was taken in between.
    reopenings: int = 0
    #: Rank among all peers by their last use.
    used: int = 0
    #: When the last datagram went out and the last one came.
    sent_at: float = float("-inf")
    heard_at: float = float("-inf")
    #: Datagrams that were too large for the modem: the socket's methods refuse them, so they were written below.
    oversized: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """Its host and port."""
        return self.host, self.port

    def account(self, is_open: bool) -> ConnectionStats:
        """Give the account of it."""
        return ConnectionStats("UDP", self.host, self.port, self.bytes_up, self.bytes_down, is_open)

    def add(self, data: bytes, now: float) -> None:
        """Let a datagram wait."""
        self.waiting.append((now, data))
        self.socket.backlog.size += len(data) + DATAGRAM_COST
        self._count(data, 1)

    def pop(self) -> bytes:
        """Let the one that waits longest go."""
        _, data = self.waiting.popleft()
        self.socket.backlog.size -= len(data) + DATAGRAM_COST
        self._count(data, -1)
        return data

    def give_key(self, key: int | None) -> None:
        """The driver has it from now on; or, with None, has it no more."""
        for _, data in self.waiting:
            self._count(data, -1)
        self.key = key
        for _, data in self.waiting:
            self._count(data, 1)

    def _count(self, data: bytes, sign: int) -> None:
        if self.key is None:
            self.socket.parked_size += sign * (len(data) + DATAGRAM_COST)
        else:
            self.socket.ready_number += sign

    def pop_oversized(self) -> int:
        """Return how many datagrams were too large since the last call."""
        number, self.oversized = self.oversized, 0
        return number

    def take(self, max_bytes: int) -> bytes:
        """Return the next datagram; ``b""`` when there is none. See :class:`nbsocket._driver.Source`."""
        self.is_touched = True
        while self.waiting:
            data = self.pop()
            if len(data) <= max_bytes:
                self.bytes_up += len(data)
                self.sent_at = monotonic()
                self.reopenings = 0
                return data
            self.oversized += 1
        return b""
