"""The modem's five socket ids: which are free, which are the user's own, which must rest; and its local ports.

Theory of operation. An id is free, or a connection's, or *claimed*: the user's own raw commands opened it, or an
earlier program did, and nothing here touches it. An id is used again only after the modem has confirmed its close, and
*rests* where the modem may still push data of its last connection: that data names the id alone, and would be taken for
the next connection's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["CLOSE_TIMEOUT", "OPEN_TIMEOUT", "SOCKET_IDS", "LineActivity", "SocketIds"]

#: The modem has sockets 0 to 4. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.2.
SOCKET_IDS = range(5)
#: Seconds until the outcome of QIOPEN. Source: the same, note 2, and a margin.
OPEN_TIMEOUT = 65.0
#: Seconds that CLOSE OK may take; 50 ms to 2 s were seen.
CLOSE_TIMEOUT = 10.0
#: Seconds that a chosen local port stays busy after its close. Source: the same, note 4.
PORT_HOLD_TIME = 70.0
#: Seconds for which the line must be silent before what is on it is known to be over.
QUIET_TIME = 0.1
#: Seconds after "closed" for which the pushes of other connections put the end off: they may go before ours.
LONGEST_DETOUR = 2.0
#: Seconds in which the id of a connection that its peer has closed is not used again: a push that is late would be
#: taken for the next connection's. More than the time in which pushes behind "closed" still count (END_TIMEOUT in
#: ``_closing``). The latter once this modem has pushed anything after the end.
ID_REST, LONG_ID_REST = 0.75, 5.0


class LineActivity:
    """What is known of the serial line: whether something is on its way from the modem."""

    def __init__(self, is_receiving: Callable[[], bool]) -> None:
        """``is_receiving``: whether a line or a payload has begun to come, and not ended."""
        self.is_receiving = is_receiving
        #: When the modem's last bytes came.
        self.heard_at = float("-inf")

    def is_busy(self, now: float) -> bool:
        """Whether bytes came just now, or are in the middle of coming."""
        return self.is_receiving() or now < self.heard_at + QUIET_TIME


class SocketIds:
    """Who has which id."""

    def __init__(self, line: LineActivity) -> None:
        self._line = line
        self.free: deque[int] = deque(SOCKET_IDS)
        #: Until when an id that is free is not used again.
        self.resting: dict[int, float] = {}
        #: Ids for which data came after the end, since they were used last: the log tells once.
        self.late: set[int] = set()
        self.claimed: set[int] = set()
        #: Those of them whose CLOSE OK is due, and until when it is waited for: it names no socket, and could be taken
        #: for that of one of ours.
        self.closing_claims: deque[int] = deque()
        self._claims_closing_until = float("-inf")
        #: Those that are being opened, and until when the outcome may come, once somebody waits for it: the modem may
        #: refuse another QIOPEN meanwhile.
        self.claims_opening: dict[int, float | None] = {}
        #: Local ports that the modem keeps busy, by service and port, and until when.
        self._held_ports: dict[tuple[str, int], float] = {}

    # -- the user's own

    def claim(self, socket_id: int, is_opening: bool = False) -> bool:
        """Leave this socket of the modem alone: it is not ours. Return whether that is new, and it was free."""
        if socket_id not in self.free:
            return False
        self.free.remove(socket_id)
        self.claimed.add(socket_id)
        if is_opening:
            self.claims_opening[socket_id] = None
        return True

    def claim_opened(self, socket_id: int) -> None:
        """``+QIOPEN: id,result`` came for a socket of the user's."""
        self.claims_opening.pop(socket_id, None)

    def disclaim(self, socket_id: int, is_closed: bool) -> None:
        """The user closes it; without ``is_closed`` CLOSE OK is still to come."""
        if socket_id not in self.claimed:
            return
        self.claims_opening.pop(socket_id, None)
        if not is_closed:
            self.closing_claims.append(socket_id)
            self._claims_closing_until = self._line.heard_at + CLOSE_TIMEOUT
            return
        self.claimed.remove(socket_id)
        self.free.append(socket_id)
        if socket_id in self.closing_claims:
            self.closing_claims.remove(socket_id)

    def disclaim_all(self) -> None:
        """The modem restarted: the user's sockets are gone."""
        for socket_id in tuple(self.claimed):
            self.disclaim(socket_id, is_closed=True)

    def claim_closed(self) -> None:
        """``CLOSE OK`` came, and is none of ours."""
        if self.closing_claims:
            self.disclaim(self.closing_claims[0], is_closed=True)

    def is_claim_closing(self, now: float) -> bool:
        """Whether a CLOSE OK is due for a socket of the user's: there is one close at a time."""
        return bool(self.closing_claims) and now < self._claims_closing_until

    def is_claim_opening(self, now: float) -> bool:
        """Whether the modem may be at an opening of the user's; somebody waits for that from now on."""
        for socket_id, due in tuple(self.claims_opening.items()):
            if due is None:
                self.claims_opening[socket_id] = now + OPEN_TIMEOUT
        return bool(self.claims_opening)

    # -- free ones

    def rested(self, now: float) -> int | None:
        """The id that is free for longest, those left out whose last connection may have something to push yet."""
        return next((socket_id for socket_id in self.free if self._is_rested(socket_id, now)), None)

    def _is_rested(self, socket_id: int, now: float) -> bool:
        """What is on the line when the rest is over may be of the last connection, or go before what is."""
        until = self.resting.get(socket_id)
        if until is None or now >= until + LONGEST_DETOUR:
            return True
        return now >= until and not self._line.is_busy(now)

    def take(self, now: float) -> int:
        """Take the id that :meth:`rested` gives."""
        socket_id = self.rested(now)
        assert socket_id is not None
        self.free.remove(socket_id)
        self.resting.pop(socket_id, None)
        self.late.discard(socket_id)
        return socket_id

    def give_back(self, socket_id: int) -> None:
        """The modem has confirmed that it is closed."""
        self.free.append(socket_id)

    def rest(self, socket_id: int, now: float, is_long: bool) -> None:
        """Data of its last connection may come: do not use it again for a while."""
        self.resting[socket_id] = now + (LONG_ID_REST if is_long else ID_REST)

    # -- local ports

    def hold_port(self, service: str, local_port: int, now: float) -> None:
        """The modem keeps this local port busy from now on."""
        self._held_ports[service, local_port] = now + PORT_HOLD_TIME

    def port_wait(self, service: str, local_port: int, now: float) -> float:
        """Seconds until the modem lets the local port be used again."""
        return self._held_ports.get((service, local_port), now) - now

    # -- time

    def handle_timeout(self, now: float) -> None:
        """Forget what is over."""
        for socket_id in tuple(self.resting):
            if self._is_rested(socket_id, now):
                del self.resting[socket_id]
        for socket_id, due in tuple(self.claims_opening.items()):
            if due is not None and now >= due:
                del self.claims_opening[socket_id]

    def deadlines(self, is_anybody_closing: bool, is_anybody_queued: bool) -> Iterator[float]:
        """When anything is due that somebody waits for."""
        if self.claims_opening:
            yield from (due for due in self.claims_opening.values() if due is not None)
        if self.closing_claims and is_anybody_closing:
            yield self._claims_closing_until
        if self.resting and is_anybody_queued and all(number in self.resting for number in self.free):
            yield max(min(self.resting.values()), self._line.heard_at + QUIET_TIME)
