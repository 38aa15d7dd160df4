"""What patch() cannot reach, told once each: libraries with sockets of their own, and the host's name server."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType

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


def note_bypassed(host: str, port: int) -> None:
    """Warn when a name server on loopback is asked: it would pass the question on over the host's network."""
    if port == DNS_PORT:
        tell(
            "name server",
            f"a program asks the name server at {host}, which is bypassed: what it asks in turn goes past the modem",
        )


def tell(what: str, sentence: str) -> None:
    """Warn of something, once in a process for each ``what``."""
    if what not in _told:
        _told.add(what)
        _logger.warning("%s", sentence)
