"""Which way a destination goes, over which modem, and the names that were looked up there.

One :class:`Route` stands behind each ``nbsocket.socket`` and each resolver function; ``patch()`` makes another one,
with a bypass.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from . import _stdlib
from ._bypass import NOTHING, Bypass

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._modem import Modem

#: The module does not tell how long an answer holds; a minute spares the second look-up of one connect.
CACHE_SECONDS = 60.0
#: Names held a modem; a program that talks to more over NB-IoT looks some of them up again.
MAX_CACHED_NAMES = 64
#: Addresses of bypassed names that are remembered as bypassed, too.
MAX_HOST_ADDRESSES = 1024

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


def is_local_name(name: str) -> bool:
    """Return whether ``name`` means this very host, so that loopback is the answer. Source: RFC 6761 §6.3."""
    plain = name.rstrip(".").lower()
    return plain in _LOCAL_NAMES or plain.endswith(".localhost") or plain == _stdlib.gethostname().lower()


class NameCache:
    """Answers of one modem's DNS; several threads that ask for one name at once cost one look-up."""

    def __init__(
        self, look_up: Callable[[str, float | None], list[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight: dict[str, threading.Lock] = {}
        self._answers: OrderedDict[str, tuple[float, list[str]]] = OrderedDict()

    def resolve(self, name: str, timeout: float | None = None) -> list[str]:
        """Return the addresses of ``name``; failures are not kept.

        Raises:
            gaierror: as the module says.
            TimeoutError: ``timeout`` seconds have passed.
        """
        key = name.rstrip(".").lower()
        found = self._cached(key)
        return self._ask(key, timeout) if found is None else found

    def _ask(self, key: str, timeout: float | None) -> list[str]:
        start = self._clock()
        with self._lock:
            flight = self._in_flight.setdefault(key, threading.Lock())
        if not flight.acquire(timeout=-1 if timeout is None else timeout):
            raise TimeoutError("timed out")
        try:
            found = self._cached(key)
            if found is None:
                left = None if timeout is None else max(0.0, timeout - (self._clock() - start))
                found = self._look_up(key, left)
                self._keep(key, found)
            return list(found)
        finally:
            with self._lock:
                self._in_flight.pop(key, None)
            flight.release()

    def _cached(self, key: str) -> list[str] | None:
        with self._lock:
            expiry, found = self._answers.get(key, (0.0, []))
            return list(found) if found and self._clock() < expiry else None

    def _keep(self, key: str, found: list[str]) -> None:
        with self._lock:
            self._answers[key] = (self._clock() + CACHE_SECONDS, list(found))
            self._answers.move_to_end(key)
            while len(self._answers) > MAX_CACHED_NAMES:
                self._answers.popitem(last=False)


_caches: WeakKeyDictionary[Modem, NameCache] = WeakKeyDictionary()
_caches_lock = threading.Lock()


def _forget_caches() -> None:
    # A lock that another thread held at the fork would never be released in the child.
    global _caches, _caches_lock
    _caches = WeakKeyDictionary()
    _caches_lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_caches)


def _cache_of(modem: Modem) -> NameCache:
    with _caches_lock:
        cache = _caches.get(modem)
        if cache is None:
            from ._modem import look_up

            # Of the engine, not of the modem: that one would never be let go.
            cache = _caches[modem] = NameCache(partial(look_up, modem.engine))
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
        from ._modem import default_modem

        return default_modem()

    def covers(self, host: str) -> bool:
        """Return whether ``host`` stays on the operating system's network."""
        return self.bypass.covers(host) or host in self._host_addresses

    def remember(self, address: str) -> None:
        """Keep an address that the operating system gave for a bypassed name: connecting to it is bypassed, too."""
        self._host_addresses[address] = None
        while len(self._host_addresses) > MAX_HOST_ADDRESSES:
            self._host_addresses.popitem(last=False)

    def look_up(self, name: str, timeout: float | None = None) -> list[str]:
        """Return the addresses that the modem gives for ``name``, from the cache when they are fresh."""
        return _cache_of(self.modem).resolve(name, timeout)
