"""getaddrinfo and its kin over the modem's DNS.

Theory of operation: only the look-up of a name is the modem's work. Literals, None, services and all checks of
arguments are the genuine function's, which is asked for loopback, at no cost of traffic, before anything goes to the
modem. The entries for an address that the modem gave are made from those for loopback: the host's resolver is never
asked with a text that came from the modem. Names of this host are answered from its table of hosts.
"""

from __future__ import annotations

import errno
import socket as _socket_module
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_CANONNAME,
    AI_NUMERICHOST,
    AI_PASSIVE,
    EAI_AGAIN,
    EAI_NONAME,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NI_NAMEREQD,
    NI_NUMERICHOST,
    SOCK_DGRAM,
    SOCK_STREAM,
    gaierror,
)
from typing import Any

from nbsocket._errors import host_error, name_error
from nbsocket._routing import _hosts
from nbsocket._routing._addresses import encode_name, host_text, parse_literal, wrong_family
from nbsocket._routing._audit import audit
from nbsocket._routing._hosts import LocalHost, is_local_name
from nbsocket._routing._route import Route
from nbsocket._runtime import _stdlib

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
    """Like :func:`socket.getaddrinfo`; names are looked up by the modem. Thread-safe."""
    if host is None:
        return _genuine(None, port, family, type, proto, flags)
    if not isinstance(host, (str, bytes)):
        raise TypeError("getaddrinfo() argument 1 must be string or None")
    name = _name(host)
    if parse_literal(name) is not None:
        return _genuine(name, port, family, type, proto, (flags & ~_HOST_ONLY_FLAGS) | AI_NUMERICHOST)
    if name and not flags & AI_NUMERICHOST and not is_local_name(name) and route.bypass.covers(name):
        return _host_lookup(route, name, port, family, type, proto, flags)
    audit("socket.getaddrinfo", host, port, family, type, proto)
    return _look_up(route, name, port, family, type, proto, flags)


def _look_up(route: Route, name: str, port: Any, family: int, type: int, proto: int, flags: int) -> list[Entry]:
    """Look up a name that the host's resolver is not asked for."""
    kinds = _kinds(port, family, type, proto, flags & ~(AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | _HOST_ONLY_FLAGS))
    if flags & AI_NUMERICHOST or not name:
        raise name_error(EAI_NONAME, "Name or service not known")
    if is_local_name(name):
        local = _local(route, name)
        addresses, name = _local_addresses(local, family, flags), local.canonical
    else:
        addresses = _of_family(_looked_up(route, name), family, flags)
    entries = [entry for address in addresses for entry in _entries(address, kinds, family, flags)]
    return _named(entries, name, flags) if entries else wrong_family(name)


def _name(host: str | bytes) -> str:
    text = host_text(host) if isinstance(host, bytes) else str.__str__(host)
    return text if not text or parse_literal(text) is not None else encode_name(text)


def _genuine(host: str | None, port: Any, family: int, type: int, proto: int, flags: int) -> list[Entry]:
    """Ask the host's resolver, with what a program gave and never with a text that came from the modem."""
    with _stdlib.own_traffic.asking_host():
        return list[Entry](_stdlib.getaddrinfo(host, port, family, type, proto, flags))


def _kinds(port: Any, family: int, type: int, proto: int, flags: int) -> list[Entry]:
    """The entries for loopback, which have every kind of socket that there is for a service.

    The genuine function refuses bad services, families and types here, before the modem is asked anything.
    """
    port = 0 if port is None else port
    if isinstance(port, (str, bytes)) and port.isascii() and port.isdigit() and len(port) <= len("65535"):
        port = int(port)
    if isinstance(port, int) and 0 <= port <= 0xFFFF:
        # Of no service: all ports are alike.
        kinds = _kinds_of_a_port(int(family), int(type), int(proto), flags)
        return [(*kind[:4], (kind[4][0], int(port), *kind[4][2:])) for kind in kinds]
    return _genuine(None, port, family, type, proto, flags)


@lru_cache(maxsize=64)
def _kinds_of_a_port(family: int, type: int, proto: int, flags: int) -> list[Entry]:
    return _genuine(None, 0, family, type, proto, flags)


# Each call of the genuine function raises an audit event, and a program's hook is to see its own look-ups alone. So
# what is common is asked for now.
for _family in (AF_UNSPEC, AF_INET, AF_INET6):
    for _kind in ((0, 0), (SOCK_STREAM, 0), (SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, 0), (SOCK_DGRAM, IPPROTO_UDP)):
        with suppress(gaierror):  # a host without IPv6
            _kinds_of_a_port(int(_family), int(_kind[0]), int(_kind[1]), 0)


def _entries(address: str, kinds: list[Entry], family: int, flags: int) -> Iterator[Entry]:
    """The entries for an address, as the host's resolver has them for loopback."""
    if family == AF_INET6 and ":" not in address:
        address = f"::ffff:{address}"
    wanted = AF_INET6 if ":" in address else AF_INET
    for found, type, proto, _, loopback in kinds:
        if found == wanted:
            yield found, type, proto, "", (address, *loopback[1:])


def _local(route: Route, name: str) -> LocalHost:
    """What this host says of a name of its own; connecting to its address stays on this host, like loopback."""
    local = _hosts.find(name)
    if route.keeps_loopback:
        for address in local.addresses:
            if not route.covers(address):
                route.remember(address)
    return local


def _local_addresses(local: LocalHost, family: int, flags: int) -> list[str]:
    if family == AF_UNSPEC:
        return list(local.addresses)
    if family == AF_INET6:
        mapped = local.of_version(4) if flags & _V4MAPPED else ()
        return list(local.of_version(6) or mapped or ("::1",))
    return list(local.of_version(4) or ("127.0.0.1",))


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


def _looked_up(route: Route, name: str) -> list[str]:
    """Ask the modem; that the network is not there for now is a matter of the name server's to the caller."""
    try:
        return route.look_up(name)
    except OSError as error:
        if error.errno not in _TRANSIENT:
            raise
        raise name_error(EAI_AGAIN, f"{name!r}: {error.strerror or error}") from error


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
        return _local_addresses(_local(route, name), family, 0)[0]
    if route.bypass.covers(name):
        return str(_host_lookup(route, name, None, family, _socket_module.SOCK_STREAM, 0, 0)[0][4][0])
    addresses = _of_family(route.look_up(name, timeout), family, 0)
    return addresses[0] if addresses else wrong_family(name)


def local_address(name: str, family: int) -> str:
    """Return the first address of a name of this host, for a socket of ``family``."""
    return _local_addresses(_hosts.find(name), family, 0)[0]


def gethostbyname(route: Route, hostname: Any) -> str:
    """Like :func:`socket.gethostbyname`: one IPv4 address."""
    text = _argument(hostname, "gethostbyname")
    if text in ("", "<broadcast>"):
        return _stdlib.gethostbyname(text)
    audit("socket.gethostbyname", hostname)
    return _addresses4(route, text)[0]


def gethostbyname_ex(route: Route, hostname: Any) -> tuple[str, list[str], list[str]]:
    """Like :func:`socket.gethostbyname_ex`; the modem tells no aliases."""
    text = _argument(hostname, "gethostbyname_ex")
    if text in ("", "<broadcast>"):
        return (text, [], [_stdlib.gethostbyname(text)])
    audit("socket.gethostbyname", hostname)
    if is_local_name(text):
        local = _local(route, text)
        return (local.canonical, list(local.aliases), _local_addresses(local, AF_INET, 0))
    return (text, [], _addresses4(route, text))


def _addresses4(route: Route, host: str) -> list[str]:
    literal = parse_literal(host)
    if literal is not None:
        return [str(literal)] if literal.version == 4 else wrong_family(host)
    name = _name(host)
    if not is_local_name(name) and route.bypass.covers(name):
        entries = _host_lookup(route, name, None, AF_INET, _socket_module.SOCK_STREAM, 0, 0)
    else:
        entries = _look_up(route, name, None, AF_INET, _socket_module.SOCK_STREAM, 0, 0)
    return [str(entry[4][0]) for entry in entries]


def gethostbyaddr(route: Route, ip_address: Any) -> tuple[str, list[str], list[str]]:
    """Like :func:`socket.gethostbyaddr`; the modem has no reverse look-up, so a foreign address is always unknown.

    Raises:
        herror: HOST_NOT_FOUND for an address that is neither loopback nor bypassed.
    """
    text = _argument(ip_address, "gethostbyaddr")
    literal = parse_literal(text)
    if literal is not None and not literal.is_loopback and route.covers(str(literal)):
        with _stdlib.own_traffic.asking_host():
            return _stdlib.gethostbyaddr(str(literal))
    audit("socket.gethostbyaddr", ip_address)
    if literal is None:
        return _of_name(route, _name(text))
    if literal.is_loopback:
        return ("localhost", [], [str(literal)])
    raise host_error(_HOST_NOT_FOUND, "Unknown host")


def _of_name(route: Route, name: str) -> tuple[str, list[str], list[str]]:
    """Full name, other names and addresses of a name."""
    if is_local_name(name):
        local = _local(route, name)
        return (local.canonical, list(local.aliases), list(local.addresses))
    if route.bypass.covers(name):
        entries = _host_lookup(route, name, None, 0, _socket_module.SOCK_STREAM, 0, 0)
    else:
        entries = _look_up(route, name, None, 0, _socket_module.SOCK_STREAM, 0, 0)
    return (name, [], [str(entry[4][0]) for entry in entries])


def _argument(host: Any, function: str) -> str:
    if not isinstance(host, (str, bytes, bytearray)):
        given = "None" if host is None else type(host).__name__
        raise TypeError(f"{function}() argument 1 must be str, bytes or bytearray, not {given}")
    return host_text(host)


def getnameinfo(route: Route, sockaddr: Any, flags: int) -> tuple[str, str]:
    """Like :func:`socket.getnameinfo`; a foreign host is its number, or EAI_NONAME under NI_NAMEREQD."""
    with _stdlib.own_traffic.asking_host():
        host, service = _stdlib.getnameinfo(sockaddr, (flags | NI_NUMERICHOST) & ~NI_NAMEREQD)
    if flags & NI_NUMERICHOST:
        return host, service
    literal = parse_literal(host)
    if literal is not None and literal.is_loopback:
        return "localhost", service
    if route.covers(host):
        with _stdlib.own_traffic.asking_host():
            return _stdlib.getnameinfo(sockaddr, flags)
    if flags & NI_NAMEREQD:
        raise name_error(EAI_NONAME, "Name or service not known")
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
