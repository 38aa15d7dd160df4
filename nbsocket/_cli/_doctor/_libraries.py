"""Libraries on this host whose time-outs are short for NB-IoT, where the first answer takes up to 10 s."""

from __future__ import annotations

from collections.abc import Callable

from nbsocket._cli._doctor._finding import Finding, fine, warning

__all__ = ["check_libraries"]

#: Distribution: its default time-out, and code that sets a longer one. See docs/timeouts.md and docs/libraries.md.
SHORT = {
    "httpx": ("5 s for everything", "httpx.Client(timeout=60)"),
    "paho-mqtt": ("5 s to connect", "client.connect_timeout = 60; client.connect(host, keepalive=300)"),
    "pymodbus": ("3 s for an answer", "ModbusTcpClient(host, timeout=30)"),
    "websockets": ("10 s to open, 20 s for a pong", "connect(url, open_timeout=60, ping_timeout=60)"),
    "redis": ("none, and retries that multiply", "redis.Redis(socket_timeout=60, socket_connect_timeout=60)"),
    "dnspython": ("5 s for an answer", "dns.resolver.default_resolver.lifetime = 60"),
    "aiomqtt": ("10 s for an answer", "aiomqtt.Client(host, timeout=60)"),
    "requests": ("none at all", "requests.get(url, timeout=60)"),
}


def check_libraries(version_of: Callable[[str], str | None]) -> Finding:
    """Warn of each library of SHORT that is installed."""
    there = [name for name in SHORT if version_of(name) is not None]
    if not there:
        return fine("time-outs", "no library whose time-outs are known to be short is installed")
    detail = "; ".join(f"{name}: {SHORT[name][0]}" for name in there)
    return warning("time-outs", f"short for NB-IoT: {detail}", "\n".join(SHORT[name][1] for name in there))


def installed_version(name: str) -> str | None:
    """Return the version of a distribution on this host; None where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
