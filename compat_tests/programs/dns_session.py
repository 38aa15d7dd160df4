"""dnspython: questions over UDP, TCP and TLS; plain, under asyncio and under trio; a stub resolver.

Usage: dns_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from typing import Any

import dns.asyncbackend
import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.query
import dns.resolver
import trio

TIMEOUT = 60.0
NAME = "meter.example."


def question(kind: str = "A") -> dns.message.Message:
    # No more than fits one segment of the modem's.
    return dns.message.make_query(NAME, kind, use_edns=True, payload=512)


def check(answer: dns.message.Message) -> None:
    assert [record.address for record in answer.answer[0]] == ["192.0.2.44"], answer


def plain(server: str, port: int, tls_port: int, tls: dict[str, Any]) -> None:
    check(dns.query.udp(question(), server, TIMEOUT, port=port))
    check(dns.query.tcp(question(), server, TIMEOUT, port=port))
    check(dns.query.tls(question(), server, TIMEOUT, port=tls_port, **tls))
    big, over_tcp = dns.query.udp_with_fallback(question("TXT"), server, TIMEOUT, port=port)
    assert over_tcp
    assert len(big.answer[0]) == 12
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [server], port, TIMEOUT
    assert [record.address for record in resolver.resolve(NAME, "AAAA")] == ["2001:db8::44"]


async def asynchronous(server: str, port: int, tls_port: int, tls: dict[str, Any]) -> None:
    check(await dns.asyncquery.udp(question(), server, TIMEOUT, port=port))
    check(await dns.asyncquery.tcp(question(), server, TIMEOUT, port=port))
    check(await dns.asyncquery.tls(question(), server, TIMEOUT, port=tls_port, **tls))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [server], port, TIMEOUT
    answer = await resolver.resolve(NAME, "AAAA")
    assert [record.address for record in answer] == ["2001:db8::44"]


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    server = socket.gethostbyname(host)
    tls = {"ssl_context": ssl.create_default_context(cafile=ca_file), "server_hostname": host}
    plain(server, port, tls_port, tls)
    print("sync")
    asyncio.run(asynchronous(server, port, tls_port, tls))
    print("asyncio")
    dns.asyncbackend.set_default_backend("trio")
    trio.run(asynchronous, server, port, tls_port, tls)
    print("trio")
    print("UDP, TCP, TLS; truncated answers again over TCP")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
