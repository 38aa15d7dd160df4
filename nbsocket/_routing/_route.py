"""Which way a destination goes, over which modem, and the names that were looked up there.

One :class:`Route` stands behind each ``nbsocket.socket`` and each resolver function; ``patch()`` makes another one,
with a bypass.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from nbsocket._dataclass import dataclass, field
from nbsocket._errors import copy_of, timed_out
from nbsocket._routing._bypass import NOTHING, Bypass
from nbsocket._routing._hosts import is_local_name
from nbsocket._runtime._clock import monotonic
from nbsocket._runtime._outcome import Outcome

__all__ = ["CACHE_SECONDS", "MAX_CACHED_NAMES", "NameCache", "Route", "is_local_name"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbsocket._modem import Modem

#: The modem does not tell how long an answer holds; a minute spares the second look-up of one connect.
CACHE_SECONDS = 60.0
#: Names held a modem; a program that talks to more over NB-IoT looks some of them up again.
MAX_CACHED_NAMES = 64
#: Addresses of bypassed names that are remembered as bypassed, too.
MAX_HOST_ADDRESSES = 1024


class _Flight:
    """One look-up under way: who asks, and what will come of it."""

    __slots__ = ("leader", "outcome")

    def __init__(self) -> None:
        """Begin one on this thread."""
        self.leader = threading.get_ident()
        #: The addresses or the failure; None when the leader gave up for reasons of its own.
        self.outcome: Outcome[list[str] | None] = Outcome()


class NameCache:
    """Answers of one modem's DNS; several threads that ask for one name at once cost one look-up and share its outcome.

    No lock is held anywhere: a signal handler or ``__del__`` that looks a name up on top of such a look-up must not
    wait for what its own thread holds. Each step on a dictionary is atomic.
    """

    def __init__(
        self,
        look_up: Callable[[str, float | None], list[str]],
        clock: Callable[[], float] = monotonic,
        seconds: float = CACHE_SECONDS,
        own_address: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Keep answers.

        Args:
            look_up: asks the modem.
            clock: gives seconds.
            seconds: for which an answer holds.
            own_address: gives the modem's own address; with another one it may be in another network, where names
                lead elsewhere.
        """
        self._look_up = look_up
        self._clock = clock
        self._seconds = seconds
        self._own_address = own_address
        self._in_flight: dict[str, _Flight] = {}
        self._answers: dict[str, tuple[float, str | None, list[str]]] = {}

    def resolve(self, name: str, timeout: float | None = None) -> list[str]:
        """Return the addresses of ``name``; failures are shared with those who ask meanwhile, but not kept.

        Raises:
            gaierror: as the modem says.
            TimeoutError: ``timeout`` seconds have passed.
        """
        key = name.rstrip(".").lower()
        end = None if timeout is None else self._clock() + timeout
        while True:
            found = self._cached(key)
            if found is not None:
                return found
            found = self._join(key, None if end is None else max(0.0, end - self._clock()))
            if found is not None:
                return list(found)

    def _join(self, key: str, timeout: float | None) -> list[str] | None:
        """Ask, or wait for whoever asks already; None when that one gave up before the modem had answered."""
        own = _Flight()
        flight = self._in_flight.setdefault(key, own)
        if flight is own:
            return self._lead(own, key, timeout)
        if flight.leader == own.leader:
            # Of a frame below this one, which goes on only after it: the two cannot share.
            return self._ask(key, timeout)
        if not flight.outcome.wait(timeout):
            raise timed_out()
        try:
            return flight.outcome.result()
        except OSError as error:
            # One exception for each thread: raising it writes its traceback.
            raise copy_of(error) from error.__cause__

    def _lead(self, flight: _Flight, key: str, timeout: float | None) -> list[str]:
        end = None if timeout is None else self._clock() + timeout
        try:
            found = self._ask(key, timeout)
        except BaseException as error:
            self._in_flight.pop(key, None)
            # Its own timeout, KeyboardInterrupt and the like say nothing about the name: the next one asks.
            if isinstance(error, OSError) and (end is None or self._clock() < end):
                flight.outcome.set_exception(error)
            else:
                flight.outcome.set_result(None)
            raise
        self._in_flight.pop(key, None)
        flight.outcome.set_result(found)
        return found

    def _ask(self, key: str, timeout: float | None) -> list[str]:
        found = self._look_up(key, timeout)
        self._keep(key, found)
        return found

    def _cached(self, key: str) -> list[str] | None:
        expiry, own_address, found = self._answers.get(key, (0.0, None, []))
        is_fresh = self._clock() < expiry and own_address == self._own_address()
        return list(found) if found and is_fresh else None

    def _keep(self, key: str, found: list[str]) -> None:
        self._answers.pop(key, None)
        self._answers[key] = (self._clock() + self._seconds, self._own_address(), list(found))
        while len(self._answers) > MAX_CACHED_NAMES:
            # The oldest; tuple() takes them all in one step, whatever other threads do.
            self._answers.pop(next(iter(tuple(self._answers))), None)


_caches: WeakKeyDictionary[Modem, NameCache] = WeakKeyDictionary()


def _forget_caches() -> None:
    # Look-ups of other threads at the fork are never answered in the child.
    global _caches
    _caches = WeakKeyDictionary()


os.register_at_fork(after_in_child=_forget_caches)


def _cache_of(modem: Modem) -> NameCache:
    cache = _caches.get(modem)
    if cache is None:
        from nbsocket._modem import look_up

        # Of the engine, not of the modem: that one would never be let go. setdefault() decides between two threads.
        engine = modem.engine
        made = NameCache(partial(look_up, engine), seconds=modem.dns_cache, own_address=lambda: engine.local_address)
        cache = _caches.setdefault(modem, made)
    return cache


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The way to a modem, and what does not go that way."""

    bypass: Bypass = NOTHING
    #: None is the process's default modem, whichever it is at the time
    own_modem: Modem | None = None
    #: patched sockets keep listeners and what they bind on the operating system
    keeps_listeners: bool = False
    _host_addresses: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False, repr=False)

    @property
    def modem(self) -> Modem:
        """The modem; OSError ENODEV when none is configured."""
        if self.own_modem is not None:
            return self.own_modem
        # Here and not above: modem, engine and driver take several times the rest of the package to load.
        from nbsocket._default_modem import default_modem

        return default_modem()

    def covers(self, host: str) -> bool:
        """Return whether ``host`` stays on the operating system's network."""
        return self.bypass.covers(host) or host in self._host_addresses

    @property
    def keeps_loopback(self) -> bool:
        """Whether loopback, and with it whatever this host calls itself, stays on the operating system's network."""
        return self.bypass.covers("127.0.0.1")

    def remember(self, address: str) -> None:
        """Keep an address that the operating system gave for a bypassed name: connecting to it is bypassed, too."""
        self._host_addresses[address] = None
        while len(self._host_addresses) > MAX_HOST_ADDRESSES:
            self._host_addresses.popitem(last=False)

    def look_up(self, name: str, timeout: float | None = None) -> list[str]:
        """Return the addresses that the modem gives for ``name``, from the cache when they are fresh."""
        return _cache_of(self.modem).resolve(name, timeout)
