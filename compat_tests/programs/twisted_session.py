"""Twisted: endpoints over TCP and TLS, a datagram protocol, a refused connection; names by the reactor's own resolver.

Usage: twisted_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import defer, error, protocol, reactor, ssl, task
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS

TIMEOUT = 60
BODY = bytes(range(256)) * 40


class Collector(protocol.Protocol):
    """Collects what comes until it is as much as was sent."""

    def __init__(self) -> None:
        self.received = b""
        self.whole: defer.Deferred[bytes] = defer.Deferred()
        self.lost: defer.Deferred[None] = defer.Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if len(self.received) == len(BODY):
            self.whole.callback(self.received)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class Datagrams(protocol.DatagramProtocol):
    """Sends one datagram to a connected peer and waits for the answer."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.answer: defer.Deferred[bytes] = defer.Deferred()

    def startProtocol(self) -> None:
        self.transport.connect(self.address, self.port)
        self.transport.write(b"one")

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.answer.callback(datagram)


async def stream(endpoint: Any) -> None:
    collector = await connectProtocol(endpoint, Collector())
    collector.transport.write(BODY)
    assert await collector.whole == BODY
    collector.transport.loseConnection()
    await collector.lost


async def session(argv: list[str]) -> None:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    plain = HostnameEndpoint(reactor, host, port, timeout=TIMEOUT)
    await stream(plain)
    print("streams over TCP")
    authority = ssl.Certificate.loadPEM(Path(ca_file).read_bytes())
    options = ssl.optionsForClientTLS(host, trustRoot=authority)
    await stream(wrapClientTLS(options, HostnameEndpoint(reactor, host, tls_port, timeout=TIMEOUT)))
    print("streams over TLS")
    datagrams = Datagrams(await reactor.resolve(host, (TIMEOUT,)), port)
    listening = reactor.listenUDP(0, datagrams)
    assert await datagrams.answer == b"one"
    await listening.stopListening()
    print("datagrams")
    try:
        await connectProtocol(HostnameEndpoint(reactor, host, 1, timeout=TIMEOUT), Collector())
    except error.ConnectError:
        print("refusals")


def main(argv: list[str]) -> int:
    try:
        task.react(lambda _reactor: defer.ensureDeferred(session(argv)))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
