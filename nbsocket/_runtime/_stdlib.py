"""The genuine socket functions, taken before any patch.

Whatever in nbsocket needs the operating system's own network (a socket pair, the simulator's loopback traffic, bypassed
addresses) takes it from here, so that ``patch()`` never feeds the library's own plumbing back into the modem.
"""

from __future__ import annotations

import _socket
import fcntl
import posix as genuine_os
import socket as _socket_module
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

__all__ = [
    "GenuineSocket",
    "StdlibSocket",
    "genuine_os",
    "getaddrinfo",
    "getfqdn",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostname",
    "getnameinfo",
    "ioctl",
    "own_traffic",
]

#: What ``os`` takes its functions from. Tests of programs put a fake file system in place of ``os`` and ``fcntl``, in
#: every module that refers to them (pyfakefs); our descriptors are real.
ioctl: Callable[..., Any] = partial(fcntl.ioctl)


class _OwnTraffic(threading.local):
    """Marks a thread while what it does on the operating system's network is nbsocket's own and stays inside."""

    #: It makes both ends of a pair of connected sockets.
    is_making_pair = False
    #: It is the simulated module.
    is_module = False
    #: It is opening the port: what pyserial connects to then is the host's own network.
    is_opening_port = False
    #: Our resolver asks the host's one: for addresses, services and what is bypassed.
    is_asking_host = False

    @property
    def is_plumbing(self) -> bool:
        """Whether its sockets and look-ups have to be the operating system's, patched or not."""
        return self.is_making_pair or self.is_module or self.is_opening_port

    @contextmanager
    def asking_host(self) -> Iterator[None]:
        """Ask the host's resolver inside the block."""
        before, self.is_asking_host = self.is_asking_host, True
        try:
            yield
        finally:
            self.is_asking_host = before


own_traffic = _OwnTraffic()

#: The C class: its methods are immutable, so no patch can reach them. It is what nbsocket itself uses for real traffic.
GenuineSocket = _socket.socket

#: The class of the standard library, whose methods ``patch()`` wraps in place.
StdlibSocket = _socket_module.socket

getaddrinfo = _socket_module.getaddrinfo
gethostbyname = _socket_module.gethostbyname
gethostbyname_ex = _socket_module.gethostbyname_ex
gethostbyaddr = _socket_module.gethostbyaddr
getnameinfo = _socket_module.getnameinfo
getfqdn = _socket_module.getfqdn
gethostname = _socket_module.gethostname
