"""Python's ``socket``, over a modem: ``import nbsocket as socket``.

The namespace is that of the standard library's :mod:`socket`, with ``socket``, the resolver functions and
``create_connection`` and its like speaking through a Quectel BC260Y-CN module on a serial port. :func:`patch` does
the same for programs that know nothing of it.

PYTEST_DONT_REWRITE (``nbsocket run -m pytest`` has imported it before pytest looks for plugins to rewrite)
"""

# General layout, in the order a byte takes:
#   _patching                        patch(), and what it cannot reach: child programs, libraries in C, --strict
#   _sockets                         the class nbsocket.socket, and what its methods mean over a modem
#   _routing                         addresses, names, and which way a destination goes
#   _modem                           the public handle of one modem
#   _channel                         one connection's engine end of the kernel's socket pair
#   _engine                          the one I/O thread of a modem
#   _driver, _at                     the module's life and the AT codec, both without I/O
#   _port                            the serial line
#   sim                              the far end of that line: the simulated module
#   _runtime                         under everything: clock, threads, signals, the end of the process

from __future__ import annotations

import importlib
import socket as _socket_module
from typing import TYPE_CHECKING

from nbsocket._errors import ModemError
from nbsocket._patching._patch import patch, unpatch
from nbsocket._sockets._connect import last_error
from nbsocket._sockets._namespace import (
    create_connection,
    create_server,
    fromfd,
    getaddrinfo,
    getfqdn,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    getnameinfo,
    has_dualstack_ipv6,
    socketpair,
)
from nbsocket._sockets._options import NB_RAI, NB_UNACKED, SOL_NB
from nbsocket._sockets._socket import socket
from nbsocket._version import __version__

if TYPE_CHECKING:
    from nbsocket._default_modem import configure, modem
    from nbsocket._driver import (
        DnsServers,
        ModuleInfo,
        ModuleSettings,
        NetworkStatus,
        PingReply,
        PingResult,
        SocketState,
    )
    from nbsocket._driver._detail_values import DiscontinuousReception, ModuleDetails, PowerSaving
    from nbsocket._engine import ConnectionStats, Stats
    from nbsocket._modem import Modem
    from nbsocket._modem_options import ModemOptions

__all__ = [
    "NB_RAI",
    "NB_UNACKED",
    "SOL_NB",
    "ConnectionStats",
    "DiscontinuousReception",
    "DnsServers",
    "Modem",
    "ModemError",
    "ModemOptions",
    "ModuleDetails",
    "ModuleInfo",
    "ModuleSettings",
    "NetworkStatus",
    "PingReply",
    "PingResult",
    "PowerSaving",
    "SocketState",
    "Stats",
    "__version__",
    "configure",
    "create_connection",
    "create_server",
    "fromfd",
    "getaddrinfo",
    "getfqdn",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
    "has_dualstack_ipv6",
    "last_error",
    "modem",
    "patch",
    "socket",
    "socketpair",
    "unpatch",
]

# The rest of the namespace is the standard library's own. What is ours is imported above and stays.
if TYPE_CHECKING:
    from socket import *  # type: ignore[assignment]  # noqa: F403
else:
    _others = [name for name in _socket_module.__all__ if name not in __all__]
    globals().update((name, getattr(_socket_module, name)) for name in _others)
    __all__ += _others

    #: What is loaded when it is first asked for: the modem with engine and driver takes longer than all the rest.
    _LATER = {
        "Modem": "_modem",
        **dict.fromkeys(("configure", "modem"), "_default_modem"),
        "ModemOptions": "_modem_options",
        **dict.fromkeys(("ConnectionStats", "Stats"), "_engine"),
        **dict.fromkeys(
            (
                "DnsServers",
                "ModuleInfo",
                "ModuleSettings",
                "NetworkStatus",
                "PingReply",
                "PingResult",
                "SocketState",
            ),
            "_driver",
        ),
        **dict.fromkeys(("DiscontinuousReception", "ModuleDetails", "PowerSaving"), "_driver._detail_values"),
    }

    def __getattr__(name):
        """Load what is ours, or find what programs use of :mod:`socket` outside its ``__all__``, as SocketIO."""
        if name in _LATER:
            value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
            return value
        try:
            return getattr(_socket_module, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

    def __dir__():
        return sorted({*globals(), *_LATER})
