"""Fail closed: an audit hook that refuses what would leave this machine past the modem.

It sees every connect, datagram and look-up made through Python's ``_socket``, patched or not. C libraries that call the
operating system themselves it cannot see, so those that are known are not let in. Audit hooks cannot be removed, so
this is for whole programs (``nbsocket run --strict``).
"""

from __future__ import annotations

import errno
import importlib.abc
import socket as _constants
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from socket import AI_NUMERICHOST, SOCK_STREAM
from types import ModuleType
from typing import Any

from nbsocket._errors import make_error
from nbsocket._port import is_opening_port
from nbsocket._routing import _hosts, _resolver
from nbsocket._routing._addresses import INET_FAMILIES, parse_literal
from nbsocket._routing._audit import is_ours
from nbsocket._routing._bypass import Bypass
from nbsocket._routing._leak_warnings import note_bypassed, refuse_relays
from nbsocket._runtime import _stdlib

#: A name under it, as ``x.localhost``, is not: some systems ask their name server for that.
_LOOPBACK = Bypass.parse("none, 127.0.0.0/8, ::1")
_LOCALHOST = ("localhost", "localhost.")

#: Families whose sockets reach other machines or the host of a virtual one, by no address that could be checked.
_FAMILIES = {
    int(getattr(_constants, name)): what
    for name, what in (
        ("AF_PACKET", "a socket that writes frames"),
        ("AF_VSOCK", "a socket to the host of this virtual machine (AF_VSOCK)"),
        ("AF_HYPERV", "a socket to the host of this virtual machine (AF_HYPERV)"),
        ("AF_TIPC", "a socket of the cluster's network (AF_TIPC)"),
        ("AF_RDS", "a socket of the cluster's network (AF_RDS)"),
    )
    if hasattr(_constants, name)
}


def refuse_host_network(bypass: Bypass) -> None:
    """From now on refuse every connect, datagram and look-up outside ``bypass``: OSError EACCES.

    The way to the modem itself (a port ``socket://host:4001``) is left open. Where ``bypass`` leaves out even loopback,
    TCP connections there are refused, too; other loopback traffic is that of servers on this machine, and passes, but
    not to a name server or proxy there, unless ``bypass`` names its address itself.
    """
    refuse_relays(bypass)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if is_ours(event, args):
            return
        if event == "socket.__new__" and int(args[1]) in _FAMILIES:
            raise make_error(errno.EACCES, f"refused by --strict: {_FAMILIES[int(args[1])]} would go past the modem")
        host_in = _HOSTS.get(event)
        host = host_in(args) if host_in else None
        if host is None or is_opening_port():
            return
        if host_in is _destination and not _is_own():
            note_bypassed(host, _port(args[1]))
        if bypass.covers(host):
            return
        if _is_loopback(host) and (not _is_tcp_connect(event, args) or _is_own()):
            return
        raise make_error(errno.EACCES, f"refused by --strict: {event} to {host} would go past the modem")

    sys.addaudithook(hook)


def _port(address: tuple[Any, ...]) -> int:
    return int(address[1]) if len(address) > 1 and isinstance(address[1], int) else 0


def _is_loopback(host: str) -> bool:
    return host.lower() in _LOCALHOST or _LOOPBACK.covers(host) or host in _hosts.find(_hosts.own_name()).addresses


def _is_tcp_connect(event: str, args: tuple[Any, ...]) -> bool:
    return event == "socket.connect" and int(args[0].type) == SOCK_STREAM


def _is_own() -> bool:
    return _stdlib.own_traffic.is_making_pair or _stdlib.own_traffic.is_module


class _Refusal(importlib.abc.MetaPathFinder):
    """Finds modules that may not be imported."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons
        self._search = _Search()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ImportError for one of them that is installed; of the others Python itself says that they are not."""
        if fullname not in self._reasons or self._search.is_under_way:
            return
        self._search.is_under_way = True
        try:
            finders = [finder for finder in sys.meta_path if finder is not self]
            is_installed = any(finder.find_spec(fullname, path, target) is not None for finder in finders)
        finally:
            self._search.is_under_way = False
        if is_installed:
            raise ImportError(f"refused by --strict: {fullname} {self._reasons[fullname]}", name=fullname)


class _Search(threading.local):
    """A thread that looks for a module among the other finders: one of them, wrapt's, asks all of them again."""

    is_under_way = False


def refuse_libraries(reasons: Mapping[str, str]) -> None:
    """From now on refuse to import these modules.

    Args:
        reasons: module: what it does past the modem, for the message.
    """
    sys.meta_path.insert(0, _Refusal(reasons))


def _destination(args: tuple[Any, ...]) -> str | None:
    sock, address = args
    is_inet = int(sock.family) in INET_FAMILIES and isinstance(address, tuple) and address
    return _text(address[0]) if is_inet else None


def _name(args: tuple[Any, ...]) -> str | None:
    """The name of a look-up; None for a literal, which asks nobody."""
    host = _text(args[0])
    if not host or parse_literal(host) is not None:
        return None
    # From here: _name, the hook, whoever called the C function. trio tries every name as a number first.
    caller = sys._getframe(2)
    is_numeric = caller.f_code is _stdlib.getaddrinfo.__code__ and caller.f_locals["flags"] & AI_NUMERICHOST
    return None if is_numeric else host


def _reverse(args: tuple[Any, ...]) -> str | None:
    """The address of a reverse look-up; None for our own resolver's, which wants the number unless it is bypassed."""
    # From here: _reverse, the hook, whoever called the C function.
    if sys._getframe(2).f_globals is vars(_resolver):
        return None
    sockaddr = args[0]
    return _text(sockaddr[0]) if isinstance(sockaddr, tuple) and sockaddr else None


def _text(host: object) -> str | None:
    if isinstance(host, (bytes, bytearray)):
        return bytes(host).decode("ascii", "backslashreplace")
    return host if isinstance(host, str) else None


#: Audit event of CPython's socket module: what finds the host in its arguments, None when nothing leaves the machine.
_HOSTS: dict[str, Callable[[tuple[Any, ...]], str | None]] = {
    "socket.connect": _destination,
    "socket.sendto": _destination,
    "socket.sendmsg": _destination,
    "socket.getaddrinfo": _name,
    "socket.gethostbyname": _name,
    "socket.gethostbyaddr": lambda args: _text(args[0]),
    "socket.getnameinfo": _reverse,
}
