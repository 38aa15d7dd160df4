"""What patch() cannot reach, told once each: libraries with sockets of their own, name servers and proxies."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import ModuleType

from nbsocket._errors import make_error
from nbsocket._routing._addresses import parse_literal
from nbsocket._routing._bypass import LOOPBACK, Bypass

_logger = logging.getLogger("nbsocket")

#: Module: what it does past the modem.
LIBRARIES = {
    "_interpreters": "makes interpreters that load a socket module of their own",
    "_xxsubinterpreters": "makes interpreters that load a socket module of their own",
    "eventlet": "has socket classes of its own",
    "gevent": "has socket classes of its own",
    "grpc": "connects in its own C library",
    "pycares": "asks name servers in its own C library (not for aiohttp, which is kept from it)",
    "pycurl": "connects in libcurl",
    "uvloop": "connects in libuv (use asyncio's own event loop)",
}

#: Of these, what no audit hook of Python's sees. (CPython 3.12 does not survive a hook that refuses an interpreter.)
IN_C = {
    name: LIBRARIES[name] for name in ("_interpreters", "_xxsubinterpreters", "grpc", "pycares", "pycurl", "uvloop")
}

DNS_PORT = 53

#: Where a proxy's URL names no port.
_PROXY_PORTS = {"https": 443, "socks": 1080, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}

_watched: set[str] = set()
_told: set[str] = set()


def watch_libraries(is_patched: Callable[[], bool]) -> None:
    """Warn of each library in LIBRARIES that is loaded, or will be while ``is_patched()``."""
    import wrapt  # only when needed: it takes long to load

    for name in LIBRARIES:
        if name in sys.modules:
            _tell_library(name)
        elif name not in _watched:
            # Import hooks stay for good.
            _watched.add(name)
            wrapt.register_post_import_hook(partial(_imported, is_patched), name)


def _imported(is_patched: Callable[[], bool], module: ModuleType) -> None:
    if is_patched():
        _tell_library(module.__name__)


def _tell_library(name: str) -> None:
    tell(name, f"{name} {LIBRARIES[name]}: that goes past the modem, patch() does not reach it")


#: Under --strict: what may be asked nevertheless.
_exempt: Bypass | None = None


def refuse_relays(exempt: Bypass) -> None:
    """From now on :func:`note_bypassed` refuses, but for addresses that ``exempt`` names itself."""
    global _exempt
    _exempt = exempt


def is_strict() -> bool:
    """Return whether what goes past the modem is refused, and so need not be warned of."""
    return _exempt is not None


def note_bypassed(host: str, port: int) -> None:
    """Warn when a name server, or a proxy on loopback, is asked: it would go on over the host's network.

    Raises:
        PermissionError: under ``--strict``, for those on loopback.
    """
    relay = _relay_at(host, port)
    if relay is None:
        return
    if _exempt is not None and _is_this_host(host):
        spellings = (host, "127.0.0.1", "::1") if parse_literal(host) is None else (host,)
        if not any(map(_exempt.lists, spellings)):
            sentence = f"refused by --strict: {relay} at {host} would go past the modem (or name it in --bypass)"
            raise make_error(errno.EACCES, sentence)
    else:
        tell(relay, f"a program asks {relay} at {host}, which is bypassed: what it asks in turn goes past the modem")


def _relay_at(host: str, port: int) -> str | None:
    if port == DNS_PORT:
        return "the name server"
    if not _is_this_host(host):
        return None
    return next((f"the proxy of ${name}" for name, known in _proxies() if known == port), None)


def _is_this_host(host: str) -> bool:
    literal = parse_literal(host)
    if literal is None:
        return host.rstrip(".").lower() == "localhost"
    return literal.is_unspecified or LOOPBACK.covers(host)


def _proxies() -> Iterator[tuple[str, int]]:
    """Yield variable and port of the proxies on loopback that the environment names, in whatever spelling."""
    from urllib.parse import urlsplit  # only when needed: it takes long to load

    for name, value in os.environ.items():
        if not name.lower().endswith("_proxy") or name.lower() == "no_proxy":
            continue
        with suppress(ValueError):  # no port, or no URL at all: whoever uses it says so
            parts = urlsplit(value if "://" in value else f"//{value}")
            if _is_this_host(parts.hostname or ""):
                yield name, parts.port or _PROXY_PORTS.get(parts.scheme, 80)


def tell(what: str, sentence: str) -> None:
    """Warn of something, once in a process for each ``what``."""
    if what not in _told:
        _told.add(what)
        _logger.warning("%s", sentence)
