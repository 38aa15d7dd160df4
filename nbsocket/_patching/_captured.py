"""Look-ups by functions that a program took before ``patch()``: asked of the modem where that is possible, told else.

``socket.getaddrinfo`` is Python code that looks ``_socket.getaddrinfo`` up at each call. So whoever kept the function
(a default argument, a class attribute, a partial, a closure, a dictionary) asks the modem once that name is replaced;
and so does a ``socket`` that was loaded anew. The other resolver functions are C, and whoever kept one calls the
operating system. CPython's audit events show that, as they show a socket class that ``patch()`` does not know.
"""

from __future__ import annotations

import _socket
import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from nbsocket._routing import _resolver
from nbsocket._routing._addresses import INET_FAMILIES, parse_literal
from nbsocket._routing._audit import is_ours
from nbsocket._routing._bypass import LOOPBACK
from nbsocket._routing._hosts import is_local_name
from nbsocket._routing._leak_warnings import is_strict, tell
from nbsocket._routing._route import Route
from nbsocket._runtime._stdlib import StdlibSocket, own_traffic

__all__ = ["replace_look_up", "watch_past_patch"]

#: Gives the route of patched look-ups; None while not patched, and on threads whose network is the host's own.
FindRoute = Callable[[], Route | None]

#: The C function, or what another library had put in its place.
LookUp = Callable[..., list[tuple[Any, ...]]]

#: By what stands in for it. Weak: those of earlier patches vanish.
_genuine: WeakKeyDictionary[LookUp, LookUp] = WeakKeyDictionary()


def replace_look_up(find_route: FindRoute) -> Callable[[], None]:
    """Put our look-up where ``socket.getaddrinfo`` looks for the C function; return what undoes it.

    One of ours that is there is replaced.
    """
    current: LookUp = _socket.getaddrinfo
    genuine: LookUp = _genuine.get(current, current)

    def getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[tuple[Any, ...]]:
        """Like the C function; names are looked up by the modem."""
        route = None if own_traffic.is_asking_host else find_route()
        if route is None:
            return genuine(host, port, family, type, proto, flags)
        found = _resolver.getaddrinfo(route, host, port, family, type, proto, flags)
        return [(int(family), int(type), *rest) for family, type, *rest in found]

    getaddrinfo.__module__, getaddrinfo.__qualname__ = "_socket", "getaddrinfo"
    _genuine[getaddrinfo] = genuine
    vars(_socket)["getaddrinfo"] = getaddrinfo

    def undo() -> None:
        # What somebody else put on top of it calls through to the genuine one from now on.
        if _socket.getaddrinfo in _genuine:
            vars(_socket)["getaddrinfo"] = genuine

    return undo


_find_route: FindRoute | None = None


def watch_past_patch(find_route: FindRoute) -> None:
    """Warn from now on, while patched, of look-ups and connections that go past ``patch()``: once for each way."""
    global _find_route
    is_first, _find_route = _find_route is None, find_route
    if is_first:
        # Audit hooks stay for good.
        sys.addaudithook(_hook)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    check = _CHECKS.get(event)
    if check is None or _find_route is None or is_ours(event, args) or own_traffic.is_asking_host:
        return
    if is_strict():
        return
    route = _find_route()
    sentence = None if route is None else check(route, event, args)
    if sentence is not None:
        tell(event, sentence)


def _check_look_up(route: Route, event: str, args: tuple[Any, ...]) -> str | None:
    """Say what a look-up by a C function does, unless it asks nobody or a name that is bypassed."""
    host = _text(args[0])
    is_reverse = event != "socket.gethostbyname" and event != "socket.getaddrinfo"
    literal = parse_literal(host)
    if not host or route.covers(host) or (literal is not None and (not is_reverse or LOOPBACK.covers(host))):
        return None
    if literal is None and is_local_name(host):
        return None
    return (
        f"{event} was called past patch(), by a function that the program took before: "
        f"{host!r} is asked of the host's own name server"
    )


def _check_address(route: Route, event: str, args: tuple[Any, ...]) -> str | None:
    """Say what a socket does that is of no class that patch() knows."""
    sock, address = args
    if isinstance(sock, StdlibSocket) or int(sock.family) not in INET_FAMILIES:
        return None
    host = _text(address)
    if not host or route.covers(host) or LOOPBACK.covers(host):
        return None
    return (
        f"{event} to {host} by a socket of class {type(sock).__module__}.{type(sock).__qualname__}, which patch() does "
        "not reach (was socket loaded anew?): that goes past the modem"
    )


def _text(value: object) -> str:
    if isinstance(value, tuple):
        value = value[0] if value else ""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("ascii", "backslashreplace")
    return value if isinstance(value, str) else ""


_CHECKS: dict[str, Callable[[Route, str, tuple[Any, ...]], str | None]] = {
    "socket.getaddrinfo": _check_look_up,
    "socket.gethostbyname": _check_look_up,
    "socket.gethostbyaddr": _check_look_up,
    "socket.getnameinfo": _check_look_up,
    "socket.connect": _check_address,
    "socket.sendto": _check_address,
    "socket.sendmsg": _check_address,
}
