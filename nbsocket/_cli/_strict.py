"""``run --strict``: an audit hook that fails what would leave over the operating system's own network.

It judges every connect, datagram and look-up that Python makes, through whatever class or saved reference, by the
bypass in force. C libraries with sockets of their own (libcurl, c-ares, libuv) raise no audit events and are out of its
reach.
"""

from __future__ import annotations

import errno
import sys
from socket import AF_INET, AF_INET6
from types import FrameType

from nbsocket._address import parse_literal
from nbsocket._bypass import Bypass

#: Audit events of calls that send something to an address: arguments (socket, address).
_TRANSMISSIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
#: Audit events of look-ups whose first argument is a name; a literal there causes no traffic.
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
#: Audit events of reverse look-ups: an address causes traffic here.
_REVERSE_LOOKUPS = frozenset({"socket.gethostbyaddr", "socket.getnameinfo"})

#: These have the operating system's network by right: the simulator's loopback, a modem behind a TCP port.
_CARRIERS = ("nbsocket.sim", "nbsocket._port")


def refuse_leaks(bypass: Bypass) -> None:
    """Refuse, from now on and for good, every destination outside ``bypass`` with ``PermissionError``."""

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if not event.startswith("socket."):
            return
        host = _destination(event, arguments)
        if host is None or bypass.covers(host) or _is_carrier(sys._getframe(1)):
            return
        raise PermissionError(errno.EPERM, f"--strict: {event}({host!r}) would leave over the system's own network")

    sys.addaudithook(hook)


def _destination(event: str, arguments: tuple[object, ...]) -> str | None:
    """Return the host that the call would reach over the network, or None when it reaches none."""
    if event in _TRANSMISSIONS:
        address = arguments[1]
        is_inet = getattr(arguments[0], "family", None) in (AF_INET, AF_INET6)
        return _text(address[0]) if is_inet and isinstance(address, tuple) and address else None
    if event in _LOOKUPS:
        host = _text(arguments[0])
        return None if host in ("", "localhost") or parse_literal(host) is not None else host
    if event in _REVERSE_LOOKUPS and not _is_own_resolver(sys._getframe(2)):
        address = arguments[0]
        return _text(address[0] if isinstance(address, tuple) else address)
    return None


def _text(host: object) -> str:
    if host is None:
        return ""
    return bytes(host).decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)


def _is_own_resolver(frame: FrameType) -> bool:
    """Whether our resolver asks: it takes the operating system's functions for numeric answers only."""
    return frame.f_globals.get("__name__") == "nbsocket._resolver"


def _is_carrier(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_CARRIERS):
            return True
        frame = frame.f_back
    return False
