"""What can be reached over the modem: a name, a TCP connection, a TLS handshake."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import nbsocket
from nbsocket._cli._doctor._finding import Finding, failure, fine, skipped

if TYPE_CHECKING:
    from nbsocket import Modem

__all__ = ["check_network", "split_host"]

#: Seconds for the connection, and for the handshake.
CHECK_TIMEOUT = 30.0
#: Ports that speak TLS from the first byte.
TLS_PORTS = frozenset({443, 465, 563, 636, 853, 989, 990, 992, 993, 995, 5671, 8443, 8883})


def split_host(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST[:PORT]``, 443 where none is named; ValueError for anything else."""
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]") or (":" in host.strip("[]") and not host.startswith("[")):
        return text.strip("[]"), 443
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536 and host):
        raise ValueError(f"--host must be HOST or HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def check_network(modem: Modem, target: str | None) -> Iterator[Finding]:
    """Look the host up, connect to it, and shake hands where its port speaks TLS."""
    if target is None:
        for check in ("name server", "connection", "TLS"):
            yield skipped(check, "name a host of yours: --host broker.example:8883")
        return
    host, port = split_host(target)
    have = modem.dns_servers()
    known = (have.primary_ipv4, have.secondary_ipv4, have.primary_ipv6, have.secondary_ipv6)
    servers = ", ".join(filter(None, known)) or "none is set"
    try:
        address = modem.resolve(host)[0]
    except OSError as error:
        remedy = f"nbsocket --port {shlex.quote(modem.port)} --dns 1.1.1.1 resolve {host}"
        yield failure("name server", f"{host} is not found by {servers}: {error.strerror or error}", remedy)
        yield skipped("connection", "the host has no address")
        yield skipped("TLS", "the host has no address")
        return
    yield fine("name server", f"{host} is {address} (by {servers})")
    with nbsocket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, modem=modem) as sock:
        sock.settimeout(CHECK_TIMEOUT)
        try:
            sock.connect((address, port))
        except OSError as error:
            is_refused = isinstance(error, ConnectionRefusedError)
            remedy = (
                f"is a server listening there? From another network: nc -vz {host} {port}"
                if is_refused
                else "ask the operator of the card whether its access point leads to the internet, and to that port"
            )
            yield failure("connection", f"{host} port {port}: {error.strerror or error}", remedy)
            yield skipped("TLS", "there is no connection")
            return
        yield fine("connection", f"{host} port {port} answers")
        yield _shake_hands(sock, host, port)


def _shake_hands(sock: socket.socket, host: str, port: int) -> Finding:
    if port not in TLS_PORTS:
        return skipped("TLS", f"port {port} does not speak it")
    import ssl

    try:
        with ssl.create_default_context().wrap_socket(sock, server_hostname=host) as secure:
            return fine("TLS", f"{secure.version()} with a certificate that this host trusts")
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message
        if "not yet valid" in reason or "expired" in reason:
            return failure("TLS", f"the certificate of {host}: {reason}", "date -u   # is this host's clock right?")
        remedy = f"openssl s_client -connect {host}:{port}   # and your own authority: SSL_CERT_FILE=ca.pem"
        return failure("TLS", f"the certificate of {host}: {reason}", remedy)
    except OSError as error:
        return failure("TLS", f"no handshake with {host}: {error.strerror or error}", f"does port {port} speak TLS?")
