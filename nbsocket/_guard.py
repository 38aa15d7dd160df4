"""Fail closed: an audit hook that refuses what would leave this machine past the modem.

It sees every connect, datagram and look-up made through Python's ``_socket``, patched or not. C libraries that call the
operating system themselves it cannot see, so those that are known are not let in. Audit hooks cannot be removed, so
this is for whole programs (``nbsocket run --strict``).
"""

from __future__ import annotations

import errno
import importlib.abc
import logging
import socket as _constants
import sys
from collections.abc import Callable, Mapping, Sequence
from socket import AI_NUMERICHOST, SOCK_STREAM
from types import ModuleType
from typing import Any

from . import _hosts, _stdlib
from ._address import INET_FAMILIES, parse_literal
from ._audit import is_ours
from ._bypass import Bypass
from ._port import is_opening_port

#: A name under it, as ``x.localhost``, is not: some systems ask their name server for that.
_LOOPBACK = Bypass.parse("none, 127.0.0.0/8, ::1")
_LOCALHOST = ("localhost", "localhost.")

#: Families whose sockets write frames to a network by themselves; bind() and send() of theirs tell no destination.
_FRAME_FAMILIES = {getattr(_constants, name) for name in ("AF_PACKET",) if hasattr(_constants, name)}

#: What begins another program: the audit hook is not there, and what it connects to is not seen.
_PROGRAMS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system"})

_logger = logging.getLogger("nbsocket")


def refuse_host_network(bypass: Bypass) -> None:
    """From now on refuse every connect, datagram and look-up outside ``bypass``: OSError EACCES.

    The way to the modem itself (a port ``socket://host:4001``) is left open. Where ``bypass`` leaves out even loopback,
    TCP connections there are refused, too; other loopback traffic is that of servers on this machine, and passes. That
    the program starts another one, which cannot be held, is told once where Python tells of it.
    """
    is_told = False

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal is_told
        if is_ours(event, args):
            return
        if event == "socket.__new__" and int(args[1]) in _FRAME_FAMILIES:
            raise OSError(errno.EACCES, "refused by --strict: a socket that writes frames would go past the modem")
        if event in _PROGRAMS and not is_told:
            is_told = True
            _logger.warning("the program starts another one (%s): --strict does not hold that", event)
        host_in = _HOSTS.get(event)
        host = host_in(args) if host_in else None
        if host is None or bypass.covers(host) or is_opening_port():
            return
        if _is_loopback(host) and (not _is_tcp_connect(event, args) or _is_own()):
            return
        raise OSError(errno.EACCES, f"refused by --strict: {event} to {host} would go past the modem")

    sys.addaudithook(hook)


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

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ImportError for one of them; programs that can do without take it for not installed."""
        if fullname in self._reasons:
            raise ImportError(f"refused by --strict: {fullname} {self._reasons[fullname]}", name=fullname)


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
    if sys._getframe(2).f_globals.get("__name__") == f"{__package__}._resolver":
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
