"""Addresses as programs give them: checked at once, with the standard library's own errors, before anything is sent.

A host that goes to the modem ends up inside a quoted AT parameter, so this file is also the guard against AT
injection: what :mod:`nbsocket._parameter` refuses after IDNA never gets past :func:`encode_name`.
"""

from __future__ import annotations

import errno
import operator
import socket as _socket_module
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET, AF_INET6, EAI_NONAME, inet_aton, inet_ntop
from typing import TYPE_CHECKING, Any, NoReturn

from nbsocket._dataclass import dataclass
from nbsocket._errors import make_error, name_error
from nbsocket._parameter import MAX_HOST_SIZE, check_host

__all__ = [
    "EAI_ADDRFAMILY",
    "INET_FAMILIES",
    "MAX_HOST_SIZE",
    "Address",
    "check_destination",
    "encode_name",
    "host_text",
    "parse_address",
    "parse_literal",
    "resolved",
    "unsupported",
    "wrong_family",
]

if TYPE_CHECKING:
    from collections.abc import Callable

#: The families that travel over a modem.
INET_FAMILIES = frozenset({int(AF_INET), int(AF_INET6)})

#: What glibc calls a host of the wrong family; not every platform has it.
EAI_ADDRFAMILY: int = getattr(_socket_module, "EAI_ADDRFAMILY", EAI_NONAME)


@dataclass(frozen=True, slots=True)
class Address:
    """One destination or local address of an AF_INET or AF_INET6 socket."""

    #: canonical literal, or a name that :func:`encode_name` accepts; "" is the wildcard
    host: str
    port: int
    family: int
    #: IPv6 only; kept for getpeername, without meaning to the modem
    flow_info: int = 0
    scope_id: int = 0

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The host as an IP address; None for a name."""
        return parse_literal(self.host)

    @property
    def is_wildcard(self) -> bool:
        """Whether the host is "" or the unspecified address."""
        literal = self.literal
        return not self.host or (literal is not None and literal.is_unspecified)

    @property
    def wire_host(self) -> str:
        """The host as the modem is told it: without a zone, and IPv4 where it is an IPv4-mapped address."""
        literal = self.literal
        if isinstance(literal, IPv6Address):
            return str(literal.ipv4_mapped or self.host.partition("%")[0])
        return self.host

    def sockaddr(self) -> tuple[Any, ...]:
        """Return the tuple that getpeername gives: two fields for AF_INET, four for AF_INET6."""
        if self.family == AF_INET6:
            return (self.host or "::", self.port, self.flow_info, self.scope_id)
        return (self.host or "0.0.0.0", self.port)


def unsupported(what: str) -> OSError:
    """Return the EOPNOTSUPP error saying that the modem cannot do ``what``."""
    return make_error(errno.EOPNOTSUPP, f"{what}: not possible over the module")


def parse_literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that ``host`` spells, or None when it is a name.

    The old IPv4 spellings of inet_aton count ("127.1", "0x7f000001"), as they do for the operating system's resolver:
    a bypass rule that missed them would send the wrong way.
    """
    try:
        return ip_address(host)
    except ValueError:
        pass
    if not host or not host[0].isdigit() or not set(host.lower()) <= set("0123456789abcdefx."):
        return None
    try:
        return IPv4Address(inet_aton(host))
    except OSError:
        return None


def encode_name(host: str) -> str:
    """Return ``host`` as the ASCII text that may stand in an AT parameter.

    Raises:
        gaierror: EAI_NONAME, it is no host name: see :func:`nbsocket._parameter.check_host`.
        UnicodeError: IDNA cannot encode it, as from the standard library.
    """
    # Of a subclass, whose methods may say anything, only its characters.
    name = str.encode(host, "idna").decode("ascii")
    try:
        return check_host(name, "a host name")
    except ValueError as error:
        raise name_error(EAI_NONAME, str(error)) from None


def host_text(host: object) -> str:
    """Return a host given as str, bytes or bytearray as text; TypeError for anything else, as from stdlib."""
    if isinstance(host, str):
        text = host
    elif isinstance(host, (bytes, bytearray)):
        text = bytes(host).decode("ascii", "backslashreplace")
    else:
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if "\0" in text:
        raise TypeError("host name must not contain null character")
    return text


def parse_address(family: int, address: object, call: str) -> Address:
    """Check an address tuple as the C code of the standard library does and return it.

    Args:
        family: AF_INET or AF_INET6.
        address: what the program gave.
        call: name of the method, for the messages.
    Raises:
        TypeError: not a tuple of the right length and types.
        OverflowError: port or flow info out of range.
        gaierror: the host may not go to the modem, or is a literal of the other family.
    """
    name = "AF_INET6" if family == AF_INET6 else "AF_INET"
    if not isinstance(address, tuple):
        raise TypeError(f"{call}(): {name} address must be tuple, not {type(address).__name__}")
    if family == AF_INET6:
        _check_length(address, 2, 4, "AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])")
    else:
        _check_length(address, 2, 2, "AF_INET address must be a pair (host, port)")
    host = host_text(address[0])
    port = operator.index(address[1])
    if not 0 <= port <= 0xFFFF:
        raise OverflowError(f"{call}(): port must be 0-65535.")
    flow_info, scope_id = (*(operator.index(item) for item in address[2:]), 0, 0)[:2]
    if not 0 <= flow_info <= 0xFFFFF:
        raise OverflowError(f"{call}(): flowinfo must be 0-1048575.")
    return Address(_canonical(host, family), port, family, flow_info, scope_id)


def _check_length(address: tuple[object, ...], least: int, most: int, message: str) -> None:
    if not least <= len(address) <= most:
        raise TypeError(message)


def _canonical(host: str, family: int) -> str:
    if not host:
        return ""
    if host == "<broadcast>" and family == AF_INET:
        return "255.255.255.255"
    literal = parse_literal(host)
    if literal is None:
        return encode_name(host)
    if literal.version != (6 if family == AF_INET6 else 4):
        wrong_family(host)
    # Not str(): its spelling of mapped addresses depends on Python's version, the kernel's does not.
    zone = literal.scope_id if isinstance(literal, IPv6Address) else None
    return inet_ntop(family, literal.packed) + (f"%{zone}" if zone else "")


def wrong_family(host: str) -> NoReturn:
    """Raise the gaierror for a host that has no address of the wanted family."""
    raise name_error(EAI_ADDRFAMILY, f"Address family for hostname not supported: {host!r}")


def check_destination(address: Address, *, call: str) -> None:
    """Refuse destinations the modem cannot have: wildcard, port 0, multicast, broadcast.

    Raises:
        OSError: EADDRNOTAVAIL or EOPNOTSUPP.
    """
    literal = address.literal
    if address.is_wildcard:
        raise make_error(errno.EADDRNOTAVAIL, f"{call}(): {address.host or 'the empty host'!r} is not a destination")
    if address.port == 0:
        raise make_error(errno.EADDRNOTAVAIL, f"{call}(): port 0 is not a destination")
    if literal is not None and (literal.is_multicast or str(literal) == "255.255.255.255"):
        raise unsupported(f"multicast or broadcast to {address.host}")


def resolved(address: Address, resolve: Callable[[str, int], str]) -> Address:
    """Return ``address`` with a literal host; names go through ``resolve(name, family)``."""
    if address.literal is not None or not address.host:
        return address
    host = resolve(address.host, address.family)
    return Address(host, address.port, address.family, address.flow_info, address.scope_id)
