"""The functions of ``socket`` that must speak through the modem when they are called as ``nbsocket.<name>``.

Everything else of that namespace is the standard library's own object; see ``__init__.py``.
"""

from __future__ import annotations

import socket as _socket_module
from types import FunctionType
from typing import Any, TypeVar, cast

from nbsocket._routing import _resolver
from nbsocket._routing._route import Route
from nbsocket._sockets._socket import socket

_ROUTE = Route()

F = TypeVar("F")


def getaddrinfo(
    host: bytes | str | None,
    port: bytes | str | int | None,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[_resolver.Entry]:
    """Like :func:`socket.getaddrinfo`; differs: names are looked up by the default modem. Literals cost no traffic."""
    return _resolver.getaddrinfo(_ROUTE, host, port, family, type, proto, flags)


def gethostbyname(hostname: str, /) -> str:
    """Like :func:`socket.gethostbyname`, over the default modem."""
    return _resolver.gethostbyname(_ROUTE, hostname)


def gethostbyname_ex(hostname: str, /) -> tuple[str, list[str], list[str]]:
    """Like :func:`socket.gethostbyname_ex`, over the default modem, which tells no aliases."""
    return _resolver.gethostbyname_ex(_ROUTE, hostname)


def gethostbyaddr(ip_address: str, /) -> tuple[str, list[str], list[str]]:
    """Like :func:`socket.gethostbyaddr`; herror for foreign addresses: the modem has no reverse look-up."""
    return _resolver.gethostbyaddr(_ROUTE, ip_address)


def getnameinfo(sockaddr: tuple[Any, ...], flags: int, /) -> tuple[str, str]:
    """Like :func:`socket.getnameinfo`; differs: a foreign host is its number, for the modem has no reverse look-up."""
    return _resolver.getnameinfo(_ROUTE, sockaddr, flags)


def getfqdn(name: str = "") -> str:
    """Like :func:`socket.getfqdn`."""
    return _resolver.getfqdn(_ROUTE, name)


_GLOBALS: dict[str, Any] = {
    **vars(_socket_module),
    "socket": socket,
    **{function.__name__: function for function in (getaddrinfo, gethostbyname, gethostbyaddr, getfqdn)},
}


def _with_our_socket(function: F) -> F:
    """Return the standard library's function, finding our class and resolver where it looks for its own.

    So each Python version's arguments and behaviour are kept without a copy of its code.
    """
    genuine = cast(FunctionType, function)
    ours = FunctionType(genuine.__code__, _GLOBALS, genuine.__name__, genuine.__defaults__, genuine.__closure__)
    ours.__kwdefaults__ = genuine.__kwdefaults__
    ours.__doc__ = genuine.__doc__
    ours.__module__ = "nbsocket"
    _GLOBALS[genuine.__name__] = ours
    return cast(F, ours)


fromfd = _with_our_socket(_socket_module.fromfd)
socketpair = _with_our_socket(_socket_module.socketpair)
has_dualstack_ipv6 = _with_our_socket(_socket_module.has_dualstack_ipv6)
create_connection = _with_our_socket(_socket_module.create_connection)
create_server = _with_our_socket(_socket_module.create_server)
