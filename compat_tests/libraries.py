"""The libraries, the program of each, and what its users should know."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from pathlib import Path

from compat_tests._servers import Servers

#: The name that the certificates are for; the simulated module leads it to the same port of 127.0.0.1.
HOST = "server.example"


@dataclass(frozen=True, slots=True)
class Library:
    """One program of ``programs/``; it is given host, port, TLS port, the CA's file and ``extra``."""

    name: str
    program: str
    server: str
    #: its PyPI name; None is the standard library
    distribution: str | None = None
    extra: tuple[str, ...] = ()
    #: what does not work and why
    limits: str = ""
    #: time-outs to raise for NB-IoT, whose first answer takes up to 10 s
    timeouts: str = ""

    @property
    def version(self) -> str:
        """The version that is installed here."""
        if self.distribution is None:
            return f"Python {platform.python_version()}"
        return distribution_version(self.distribution)

    def arguments(self, servers: Servers, ca_file: Path) -> list[str]:
        """Start the server and return the program's name and arguments."""
        ports = servers.start(self.server)
        extra = [str(ports.file) if word == "{file}" else word for word in self.extra]
        return [f"{self.program}.py", HOST, str(ports.plain), str(ports.tls), str(ca_file), *extra]


_NO_TIMEOUT = "has none by default: give one"
_FIVE_HTTP = "more than 5 connections at a time: `EMFILE`, so keep pools that small"

LIBRARIES = (
    Library(
        "paho-mqtt", "mqtt_features", "mqtt", "paho-mqtt",
        timeouts="`connect_timeout` 5 s → 60; `keepalive` 60 → 300 or more",
    ),
    Library("aiomqtt", "aiomqtt_session", "mqtt", "aiomqtt", timeouts="`timeout` 10 s → 60"),
    Library(
        "requests", "requests_session", "http", "requests",
        limits=_FIVE_HTTP + "; answers that are kept keep their connections",
        timeouts=f"`timeout` {_NO_TIMEOUT}",
    ),
    Library("urllib3", "urllib3_session", "http", "urllib3", limits=_FIVE_HTTP, timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library("httpx", "httpx_session", "http", "httpx", limits=_FIVE_HTTP, timeouts="`timeout` 5 s → 60"),
    Library(
        "aiohttp", "aiohttp_session", "http", "aiohttp",
        limits="`TCPConnector(limit=100)` → 5; its resolver in C, aiodns, is passed by",
        timeouts="`ClientTimeout.sock_connect` 30 s → 60",
    ),
    Library("http.client", "http_client_session", "http", timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library("urllib.request", "urllib_session", "http", timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library("asyncio", "asyncio_session", "echo"),
    Library("trio", "trio_session", "echo", "trio"),
    Library("anyio", "anyio_session", "echo", "anyio"),
    Library(
        "websockets", "websockets_session", "websockets", "websockets",
        timeouts="`open_timeout` 10 s, `ping_timeout` 20 s, `close_timeout` 10 s → 60",
    ),
    Library(
        "websocket-client", "websocket_client_session", "websockets", "websocket-client",
        timeouts=f"`timeout` {_NO_TIMEOUT}",
    ),
    Library(
        "redis-py", "redis_session", "redis", "redis",
        timeouts="`socket_timeout`, `socket_connect_timeout` 5 s → 60",
    ),
    Library("pymodbus", "modbus_session", "modbus", "pymodbus", timeouts="`timeout` 3 s → 30"),
    Library(
        "dnspython", "dns_session", "unbound", "dnspython",
        limits="answers over UDP of more than 1024 bytes come in pieces: ask with `payload=1024` or less, or over TCP",
        timeouts="`lifetime` 5 s → 30",
    ),
    Library("ntplib", "ntp_session", "chrony", "ntplib", timeouts="`timeout` 5 s → 30"),
    Library(
        "aiocoap", "coap_session", "coap", "aiocoap",
        limits="its default transport `udp6` wants ancillary data of the kernel's: set "
        "`AIOCOAP_CLIENT_TRANSPORT=simple6:tcpclient` (`nbsocket run` does); blocks of 256 bytes in `hex`",
        timeouts="`ACK_TIMEOUT` 2 s → 10",
    ),
    Library("pika", "pika_session", "rabbitmq", "pika", timeouts="`socket_timeout` 10 s, `stack_timeout` 15 s → 60"),
    Library("nats-py", "nats_session", "nats", "nats-py", timeouts="`connect_timeout` 2 s → 60"),
    Library("nats-py", "nats_session", "nats-tls", "nats-py", extra=("tls",)),
    Library("smtplib", "smtp_session", "smtp", timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library("imaplib", "imap_session", "imap", timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library(
        "ftplib", "ftp_session", "ftp",
        limits="active mode: the module does not listen", timeouts=f"`timeout` {_NO_TIMEOUT}",
    ),
    Library(
        "logging.handlers.SysLogHandler", "syslog_session", "rsyslog", extra=("{file}",),
        limits="records over UDP are at most a segment long",
    ),
    Library("xmlrpc.client", "xmlrpc_session", "xmlrpc", timeouts="has none: `socket.setdefaulttimeout`"),
)  # fmt: skip


def patched_before(port: str, arguments: list[str]) -> list[str]:
    """Return python's arguments for the program when the patch comes first, and nothing may leave past it."""
    return ["-m", "nbsocket", "--port", port, "run", "--bypass", "none", "--strict", *arguments]


def patched_after(port: str, arguments: list[str]) -> list[str]:
    """Return python's arguments for the program when all of its imports come first."""
    program, *rest = arguments
    return ["patch_late.py", port, program.removesuffix(".py"), *rest]


#: How a program is run: name and what makes python's arguments.
WAYS: dict[str, Callable[[str, list[str]], list[str]]] = {"before": patched_before, "after": patched_after}
