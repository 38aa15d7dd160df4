"""What the engine counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from nbsocket._dataclass import dataclass

__all__ = ["KEPT_ACCOUNTS", "Accounts", "ConnectionStats", "Stats", "Total"]

#: Ended connections whose account is kept.
KEPT_ACCOUNTS = 100

#: Hosts and ports whose total is kept; the others are added up as one.
KEPT_TOTALS = 1000

#: Addresses whose name is remembered.
KEPT_NAMES = 256


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """Payload of one connection."""

    #: ``"TCP"`` or ``"UDP"``.
    service: str
    host: str
    port: int
    #: Bytes taken from the application.
    bytes_up: int
    #: Bytes received for it.
    bytes_down: int
    is_open: bool
    #: The name that was looked up last and gave ``host``; None where it was no name.
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """Payload of all connections to one port of a host, those that are over included."""

    service: str
    host: str
    port: int
    name: str | None
    connections: int
    bytes_up: int
    bytes_down: int

    def plus(self, one: ConnectionStats) -> Total:
        """The same with one connection more."""
        up, down = self.bytes_up + one.bytes_up, self.bytes_down + one.bytes_down
        return Total(self.service, self.host, self.port, self.name, self.connections + 1, up, down)


@dataclass(frozen=True, slots=True)
class Stats:
    """What crossed the serial line since the modem was first used."""

    #: Bytes written to the serial line.
    bytes_up: int
    #: Bytes read from it.
    bytes_down: int
    #: AT commands sent.
    commands: int
    #: How often the engine's thread woke up.
    wakeups: int
    #: Everything that driver and engine count, by name. They only grow; ``dropped_datagrams`` has those of closed
    #: sockets, too.
    counters: dict[str, int]
    #: Open connections and the last ones that ended.
    connections: tuple[ConnectionStats, ...]


class Accounts:
    """The accounts of the connections that are open, and of the last ones that ended.

    Thread: one thread changes them, any may read them. No lock: a signal handler may read while the frame that it
    interrupted does. What is read is therefore one immutable value, replaced as a whole by each change, so that a
    connection that ends is seen exactly once.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._open: dict[object, Callable[[bool], ConnectionStats]] = {}
        self._ended: deque[ConnectionStats] = deque(maxlen=KEPT_ACCOUNTS)
        self._names: dict[str, str] = {}
        self._totals: dict[tuple[str, str, int], Total] = {}
        self._published: tuple[tuple[ConnectionStats, ...], tuple[Callable[[bool], ConnectionStats], ...]] = ((), ())

    def begin(self, owner: object, account: Callable[[bool], ConnectionStats]) -> None:
        """Keep the account of a new connection.

        Args:
            owner: whose it is.
            account: gives it, when told whether the connection is open; may be called from any thread.
        """
        self._open[owner] = account
        self._publish()

    def note_name(self, address: str, name: str) -> None:
        """Remember which name gave an address. Thread: any; each step on the dictionary is atomic."""
        self._names.pop(address, None)
        self._names[address] = name
        while len(self._names) > KEPT_NAMES:
            self._names.pop(next(iter(tuple(self._names))), None)

    def name_of(self, address: str) -> str | None:
        """Return the name that gave an address last."""
        return self._names.get(address.removeprefix("::ffff:"))

    def end(self, owner: object) -> None:
        """The connection is over; nothing happens when it was before."""
        account = self._open.pop(owner, None)
        if account is not None:
            one = self._named(account(False))
            self._ended.append(one)
            self._add(self._totals, one)
            self._publish()

    def _publish(self) -> None:
        self._published = (tuple(self._ended), tuple(self._open.values()))

    def read(self) -> tuple[ConnectionStats, ...]:
        """Return them all, the ended ones first."""
        ended, is_open = self._published
        return (*ended, *(self._named(account(True)) for account in is_open))

    def totals(self) -> list[Total]:
        """Return what went to each host, by its name where it has one, the most first."""
        totals = dict(self._totals)
        for account in self._published[1]:
            self._add(totals, self._named(account(True)))
        return sorted(totals.values(), key=lambda total: total.bytes_up + total.bytes_down, reverse=True)

    @staticmethod
    def _add(totals: dict[tuple[str, str, int], Total], one: ConnectionStats) -> None:
        key = one.service, one.name or one.host, one.port
        total = totals.get(key)
        if total is None and len(totals) < KEPT_TOTALS:
            total = Total(one.service, one.host, one.port, one.name, 0, 0, 0)
        elif total is None:
            key = one.service, "others", 0
            total = totals.get(key) or Total(*key, None, 0, 0, 0)
        totals[key] = total.plus(one)

    def _named(self, one: ConnectionStats) -> ConnectionStats:
        name = self.name_of(one.host)
        if name is None:
            return one
        return ConnectionStats(one.service, one.host, one.port, one.bytes_up, one.bytes_down, one.is_open, name)
