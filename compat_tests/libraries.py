"""The libraries, the program of each, and what its users should know."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.metadata import version as distribution_version
from pathlib import Path

from compat_tests._servers import ServerMissing, Servers

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
    #: installed beside the others, in its own folder of the environment (see ``apart_folder``), for it wants other
    #: versions of what they need
    is_apart: bool = False
    #: options of the simulated module, as in ``sim://?...``; ``{tls}`` is the server's TLS port
    module: str = ""
    #: what does not work and why
    limits: str = ""
    #: time-outs to raise for NB-IoT, whose first answer takes up to 10 s
    timeouts: str = ""

    @property
    def version(self) -> str:
        """The version that is installed here."""
        if self.distribution is None:
            return f"Python {platform.python_version()}"
        if self.is_apart:
            found = distributions(name=self.distribution, path=[str(self.apart_folder)])
            return next(iter(found)).version
        return distribution_version(self.distribution)

    @property
    def apart_folder(self) -> Path:
        """Where it is installed when it is apart: ``pip install --target`` this folder."""
        return Path(sys.prefix, "apart", str(self.distribution))

    @property
    def environment(self) -> dict[str, str]:
        """What the program's environment needs besides the usual: the folder of a library that is apart."""
        return {"PYTHONPATH": str(self.apart_folder)} if self.is_apart else {}

    def port(self, servers: Servers) -> str:
        """Return the simulated module's URL."""
        return f"sim://?{self.module.format(tls=servers.start(self.server).tls)}" if self.module else "sim://"

    def arguments(self, servers: Servers, ca_file: Path) -> list[str]:
        """Start the server and return the program's name and arguments.

        Raises:
            ServerMissing: it, or a library that is apart, is not installed.
        """
        if self.is_apart and not self.apart_folder.is_dir():
            raise ServerMissing(f"{self.distribution} is not in {self.apart_folder}")
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
    Library(
        "kafka-python", "kafka_session", "kafka", "kafka-python",
        limits="versions before 3: the broker that it was tried with does not understand version 3",
        timeouts="`request_timeout_ms` 30,000 → 60,000",
    ),
    Library("Twisted", "twisted_session", "echo", "twisted", timeouts="`timeout` of endpoints 30 s → 60"),
    Library("Tornado", "tornado_session", "http", "tornado", timeouts="`connect_timeout`, `request_timeout` 20 s → 60"),
    Library("Tornado", "tornado_streams", "echo", "tornado"),
    Library(
        "paramiko", "paramiko_session", "ssh", "paramiko",
        timeouts="`timeout`, `banner_timeout`, `auth_timeout` 15 to 30 s → 60",
    ),
    Library("grpclib", "grpclib_session", "grpc", "grpclib", timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library("pg8000", "pg8000_session", "postgresql", "pg8000", timeouts=f"`timeout` {_NO_TIMEOUT}"),
    Library("kombu", "kombu_session", "rabbitmq", "kombu", extra=("amqp",), timeouts="`connect_timeout` 5 s → 60"),
    Library("kombu", "kombu_session", "redis", "kombu", extra=("redis",)),
    Library("asyncua", "asyncua_session", "opcua", "asyncua", timeouts="`timeout` 4 s → 60"),
    Library(
        "boto3", "boto3_session", "aws", "boto3",
        limits="more than 5 connections at a time: `max_pool_connections` 10 → 4",
        timeouts="`connect_timeout`, `read_timeout` of `Config`: 60 s by default",
    ),
    Library(
        "azure-iot-device", "azure_session", "mqtt", "azure-iot-device", is_apart=True,
        module="host=server.example:8883=127.0.0.1:{tls}", timeouts="`keep_alive` 60 s → 300 or more",
    ),
)  # fmt: skip


def program_environment(additions: dict[str, str]) -> dict[str, str]:
    """Return the environment of a program: this one's without settings of nbsocket, and the additions on its paths."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    folders = (additions.get("PYTHONPATH"), str(Path(__file__).parents[1]), environment.get("PYTHONPATH"))
    return environment | additions | {"PYTHONPATH": os.pathsep.join(filter(None, folders))}


def patched_before(port: str, arguments: list[str]) -> list[str]:
    """Return python's arguments for the program when the patch comes first, and nothing may leave past it."""
    return ["-m", "nbsocket", "--port", port, "run", "--bypass", "none", "--strict", *arguments]


def patched_after(port: str, arguments: list[str]) -> list[str]:
    """Return python's arguments for the program when all of its imports come first."""
    program, *rest = arguments
    return ["patch_late.py", port, program.removesuffix(".py"), *rest]


#: How a program is run: name and what makes python's arguments.
WAYS: dict[str, Callable[[str, list[str]], list[str]]] = {"before": patched_before, "after": patched_after}
