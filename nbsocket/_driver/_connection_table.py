"""The connections of one modem, oldest first, and what can be asked about them. Nothing is changed here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from nbsocket._driver._closing import Closing, Verifying
from nbsocket._driver._connection import Connection
from nbsocket._driver._open import Open
from nbsocket._driver._opening import Queued
from nbsocket._driver._socket_ids import SOCKET_IDS, SocketIds

__all__ = ["ConnectionTable"]


class ConnectionTable:
    """All that have a socket of the modem, or wait for one."""

    def __init__(self, ids: SocketIds) -> None:
        self._ids = ids
        self._by_key: dict[int, Connection] = {}
        #: Oldest first; also sockets of the modem that belong to nobody and are being closed, which have no key.
        self.order: deque[Connection] = deque()
        #: How many of them wait to be opened.
        self.queued = 0

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def add(self, link: Connection) -> None:
        """Put a connection behind all others."""
        self.order.append(link)
        self.queued += isinstance(link.phase, Queued)
        if link.key:
            self._by_key[link.key] = link

    def remove(self, link: Connection) -> bool:
        """Its socket is free; return whether the application has not been told its last event yet."""
        self.order.remove(link)
        return self.forget_key(link)

    def forget_key(self, link: Connection) -> bool:
        """The application was told its last event; return whether that is new."""
        return self._by_key.pop(link.key, None) is not None

    def get(self, key: int) -> Connection | None:
        """The connection of a key."""
        return self._by_key.get(key)

    def by_id(self, socket_id: int) -> Connection | None:
        """The connection that has this socket of the modem."""
        for link in self.order:
            if link.socket_id == socket_id:
                return link
        return None

    def open_links(self) -> list[Connection]:
        """Those that are open."""
        return [link for link in self.order if type(link.phase) is Open]

    def closing(self) -> Connection | None:
        """The one for which CLOSE OK is due."""
        return next((link for link in self.order if isinstance(link.phase, Closing) and link.phase.is_asked), None)

    # -- sockets

    def has_socket_besides(self, links: Iterable[Connection]) -> bool:
        """Whether these and the user's own leave a socket, as soon as those that end are free."""
        in_use = sum(not link.is_about_to_end for link in links)
        return in_use + len(self._ids.claimed) < len(SOCKET_IDS)

    @property
    def has_socket(self) -> bool:
        """There is a socket for one more connection, as soon as those that end are free."""
        return self.has_socket_besides(self.order)

    @property
    def is_full(self) -> bool:
        """Every socket is held by an open connection, or by the user's own."""
        held = (link for link in self.order if isinstance(link.phase, (Open, Verifying)))
        in_use = sum(not (link.is_released or link.is_finished) for link in held)
        return in_use + len(self._ids.claimed) >= len(SOCKET_IDS)

    @property
    def own_socket_ids(self) -> frozenset[int]:
        """The modem's numbers in use."""
        return frozenset(link.socket_id for link in self.order if link.socket_id is not None)

    @property
    def open_socket_ids(self) -> frozenset[int]:
        """The modem's numbers of the connections that are open."""
        return frozenset(link.socket_id for link in self.open_links() if link.socket_id is not None)

    # -- what is going on

    @property
    def is_anybody_queued(self) -> bool:
        """Whether an application waits for its connection to be opened. Thread: any, for information."""
        return any(type(link.phase) is Queued for link in tuple(self.order))

    @property
    def is_at_rest(self) -> bool:
        """Nothing is open or on its way."""
        return not self.order

    @property
    def is_quiet(self) -> bool:
        """The modem may sleep: only idle UDP connections at the most."""
        return all(type(link.phase) is Open and not link.is_tcp and not link.is_busy for link in self.order)

    @property
    def has_work(self) -> bool:
        """Something will want the modem awake."""
        return any(type(link.phase) is not Open or link.is_busy for link in self.order)

    # -- one connection

    def socket_id(self, key: int) -> int | None:
        """The modem's number of a connection's socket; None while it has none."""
        link = self._by_key.get(key)
        return link.socket_id if link is not None else None

    def socket_id_of(self, key: int) -> int | None:
        """The modem's number of an open connection."""
        link = self._by_key.get(key)
        return link.socket_id if link is not None and type(link.phase) is Open else None

    def unsent(self, key: int) -> int:
        """Bytes that were taken from the application and are not in the modem, as far as is known."""
        link = self._by_key.get(key)
        return 0 if link is None else link.unsent

    def is_settled(self, key: int) -> bool:
        """Whether a connection is gone, or open with nothing unsent and nothing unacknowledged."""
        link = self._by_key.get(key)
        if link is None:
            return True
        return type(link.phase) is Open and not link.is_busy and link.delivery.query_at is None
