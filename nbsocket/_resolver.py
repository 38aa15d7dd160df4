"""getaddrinfo and its kin over the modem's DNS.

Theory of operation: only the look-up of a name is the module's work. Literals, None, loopback names, services, flags
    and all checks of
arguments are the genuine function's: it is asked with an address, which costs no traffic, before anything goes to the
modem, and again with each address that the modem gave. So results and errors are the platform's own.
"""

from __future__ import annotations

import errno
import socket as _socket_module
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_CANONNAME,
    AI_NUMERICHOST,
    AI_PASSIVE,
    EAI_AGAIN,
    EAI_NONAME,
    NI_NAMEREQD,
    NI_NUMERICHOST,
    gaierror,
    herror,
)
from typing import Any

from . import _stdlib
from ._address import encode_name, host_text, parse_literal, wrong_family
from ._route import Route, is_local_name

#: One entry of getaddrinfo.
Entry = tuple[_socket_module.AddressFamily, _socket_module.SocketKind, int, str, tuple[Any, ...]]

# AI_ADDRCONFIG asks whether the *host* has a network. The modem's users often have none.
_HOST_ONLY_FLAGS: int = getattr(_socket_module, "AI_ADDRCONFIG", 0)
_V4MAPPED: int = getattr(_socket_module, "AI_V4MAPPED", 0)
#: Errors of a look-up that may be gone the next time.
_TRANSIENT = frozenset({errno.ETIMEDOUT, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EBUSY})
#: netdb.h's HOST_NOT_FOUND, which ``socket`` does not export.
_HOST_NOT_FOUND = 1


def getaddrinfo(
    route: Route, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[Entry]:
    """Like :func:`socket.getaddrinfo`; names are looked up by the module. Thread-safe."""
    if host is None:
        return _genuine(None, port, family, type, proto, flags)
    if not isinstance(host, (str, bytes)):
        raise TypeError("getaddrinfo() argument 1 must be string or None")
    name = _name(host)
    if parse_literal(name) is not None:
        return _genuine(name, port, family, type, proto, flags & ~_HOST_ONLY_FLAGS)
    _check_arguments(port, family, type, proto, flags)
    if flags & AI_NUMERICHOST or not name:
        raise gaierror(EAI_NONAME, "Name or service not known")
    if is_local_name(name):
        flags_left = flags & ~(AI_PASSIVE | AI_CANONNAME | _HOST_ONLY_FLAGS)
        entries = _genuine(None, 0 if port is None else port, family, type, proto, flags_left)
        return _named(sorted(entries, key=lambda entry: entry[0] != AF_INET), name, flags)
    if route.bypass.covers(name):
        return _host_lookup(route, name, port, family, type, proto, flags)
    return _named(_module_lookup(route, name, port, family, type, proto, flags), name, flags)


def _name(host: str | bytes) -> str:
    text = host_text(host) if isinstance(host, bytes) else host
    return text if not text or parse_literal(text) is not None else encode_name(text)


def _genuine(host: str | None, port: Any, family: int, type: int, proto: int, flags: int) -> list[Entry]:
    return list[Entry](_stdlib.getaddrinfo(host, port, family, type, proto, flags))


def _check_arguments(port: Any, family: int, type: int, proto: int, flags: int) -> None:
    """Let the genuine function refuse bad services, families and types before the module is asked anything."""
    _genuine(None, 0 if port is None else port, family, type, proto, flags & ~(AI_CANONNAME | _HOST_ONLY_FLAGS))


def _named(entries: list[Entry], name: str, flags: int) -> list[Entry]:
    if not flags & AI_CANONNAME or not entries:
        return entries
    family, type, proto, _, address = entries[0]
    return [(family, type, proto, name, address), *entries[1:]]


def _host_lookup(route: Route, name: str, port: Any, family: int, type: int, proto: int, flags: int) -> list[Entry]:
    entries = _genuine(name, port, family, type, proto, flags)
    for entry in entries:
        route.remember(str(entry[4][0]))
    return entries


def _module_lookup(route: Route, name: str, port: Any, family: int, type: int, proto: int, flags: int) -> list[Entry]:
    entries: list[Entry] = []
    flags &= ~(AI_CANONNAME | _HOST_ONLY_FLAGS)
    for address in _of_family(_looked_up(route, name), family, flags):
        entries += _genuine(address, port, family, type, proto, flags)
    return entries or wrong_family(name)


def _looked_up(route: Route, name: str) -> list[str]:
    """Ask the module; that the network is not there for now is a matter of the name server's to the caller."""
    try:
        return route.look_up(name)
    except OSError as error:
        if error.errno not in _TRANSIENT:
            raise
        raise gaierror(EAI_AGAIN, f"{name!r}: {error.strerror or error}") from error


def _of_family(addresses: list[str], family: int, flags: int) -> list[str]:
    if family == AF_UNSPEC:
        return addresses
    wanted = [address for address in addresses if (":" in address) == (family == AF_INET6)]
    return wanted or (addresses if family == AF_INET6 and flags & _V4MAPPED else [])


def resolve_one(route: Route, name: str, family: int, timeout: float | None = None) -> str:
    """Return the first address of ``name`` for a socket of ``family``.

    Raises:
        gaierror: unknown, or no address of that family.
        TimeoutError: ``timeout`` seconds have passed.
    """
    if is_local_name(name):
        return "::1" if family == AF_INET6 else "127.0.0.1"
    if route.bypass.covers(name):
        return str(_host_lookup(route, name, None, family, _socket_module.SOCK_STREAM, 0, 0)[0][4][0])
    addresses = _of_family(route.look_up(name, timeout), family, 0)
    return addresses[0] if addresses else wrong_family(name)


def gethostbyname(route: Route, hostname: Any) -> str:
    """Like :func:`socket.gethostbyname`: one IPv4 address."""
    text = _argument(hostname, "gethostbyname")
    if text in ("", "<broadcast>"):
        return _stdlib.gethostbyname(text)
    return str(getaddrinfo(route, text, None, AF_INET, _socket_module.SOCK_STREAM)[0][4][0])


def gethostbyname_ex(route: Route, hostname: Any) -> tuple[str, list[str], list[str]]:
    """Like :func:`socket.gethostbyname_ex`; the module tells no aliases."""
    text = _argument(hostname, "gethostbyname_ex")
    if text in ("", "<broadcast>"):
        return (text, [], [_stdlib.gethostbyname(text)])
    entries = getaddrinfo(route, text, None, AF_INET, _socket_module.SOCK_STREAM)
    return (text, [], [str(entry[4][0]) for entry in entries])


def gethostbyaddr(route: Route, ip_address: Any) -> tuple[str, list[str], list[str]]:
    """Like :func:`socket.gethostbyaddr`; the module has no reverse look-up, so a foreign address is always unknown.

    Raises:
        herror: HOST_NOT_FOUND for an address that is neither loopback nor bypassed.
    """
    text = _argument(ip_address, "gethostbyaddr")
    literal = parse_literal(text)
    if literal is None:
        entries = getaddrinfo(route, text, None, 0, _socket_module.SOCK_STREAM)
        return (text, [], [str(entry[4][0]) for entry in entries])
    if literal.is_loopback:
        return ("localhost", [], [str(literal)])
    if route.covers(str(literal)):
        return _stdlib.gethostbyaddr(str(literal))
    raise herror(_HOST_NOT_FOUND, "Unknown host")


def _argument(host: Any, function: str) -> str:
    if not isinstance(host, (str, bytes, bytearray)):
        given = "None" if host is None else type(host).__name__
        raise TypeError(f"{function}() argument 1 must be str, bytes or bytearray, not {given}")
    return host_text(host)


def getnameinfo(route: Route, sockaddr: Any, flags: int) -> tuple[str, str]:
    """Like :func:`socket.getnameinfo`; a foreign host is its number, or EAI_NONAME under NI_NAMEREQD."""
    host, service = _stdlib.getnameinfo(sockaddr, (flags | NI_NUMERICHOST) & ~NI_NAMEREQD)
    if flags & NI_NUMERICHOST:
        return host, service
    literal = parse_literal(host)
    if literal is not None and literal.is_loopback:
        return "localhost", service
    if route.covers(host):
        return _stdlib.getnameinfo(sockaddr, flags)
    if flags & NI_NAMEREQD:
        raise gaierror(EAI_NONAME, "Name or service not known")
    return host, service


def getfqdn(route: Route, name: str = "") -> str:
    """Like :func:`socket.getfqdn`."""
    name = name.strip()
    if not name or name in ("0.0.0.0", "::"):
        name = _stdlib.gethostname()
    try:
        hostname, aliases, _ = gethostbyaddr(route, name)
    except OSError:
        return name
    return next((known for known in (hostname, *aliases) if "." in known), hostname)


#: The functions that ``patch()`` replaces on ``socket``, and the package offers under the same names.
FUNCTIONS = {
    function.__name__: function
    for function in (getaddrinfo, gethostbyname, gethostbyname_ex, gethostbyaddr, getnameinfo, getfqdn)
}
