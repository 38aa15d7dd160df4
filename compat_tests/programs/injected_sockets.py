"""Libraries that take a socket, or make theirs through a function: nbsocket.socket, and nothing patched.

Usage: injected_sockets.py PORT_OF_THE_MODEM ECHO_PORT HTTP_PORT WEBSOCKET_PORT DNS_PORT
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import aiohttp
import dns.asyncquery
import dns.message
import dns.query
import websockets.asyncio.client
import websockets.sync.client

import nbsocket

HOST = "server.example"
TIMEOUT = 60.0


class Resolver(aiohttp.abc.AbstractResolver):
    """Asks the modem, in a thread."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        entries = await asyncio.to_thread(nbsocket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        return [
            {"hostname": host, "host": at[0], "port": at[1], "family": kind, "proto": proto, "flags": 0}
            for kind, _, proto, _, at in entries
        ]

    async def close(self) -> None:
        pass


async def streams(port: int) -> None:
    sock = nbsocket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, nbsocket.getaddrinfo(HOST, port)[0][4])
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await writer.wait_closed()


async def http(port: int) -> None:
    connector = aiohttp.TCPConnector(resolver=Resolver(), socket_factory=lambda info: nbsocket.socket(*info[:3]))
    url = f"http://{HOST}:{port}/bytes/3000"
    async with aiohttp.ClientSession(connector=connector) as client, client.get(url) as answer:
        assert len(await answer.read()) == 3000


async def websocket(port: int) -> None:
    sock = nbsocket.create_connection((HOST, port), TIMEOUT)
    async with websockets.asyncio.client.connect(f"ws://{HOST}:{port}", sock=sock, open_timeout=TIMEOUT) as connection:
        await connection.send("hello")
        assert await connection.recv() == "hello"


def threaded_websocket(port: int) -> None:
    sock = nbsocket.create_connection((HOST, port), TIMEOUT)
    with websockets.sync.client.connect(f"ws://{HOST}:{port}", sock=sock, open_timeout=TIMEOUT) as connection:
        connection.send("hello")
        assert connection.recv(TIMEOUT) == "hello"


def dns_question(port: int) -> None:
    server = nbsocket.gethostbyname(HOST)
    dns.query.socket_factory = nbsocket.socket
    for ask in (dns.query.udp, dns.query.tcp):
        answer = ask(dns.message.make_query("meter.example.", "A"), server, TIMEOUT, port=port)
        assert [record.address for record in answer.answer[0]] == ["192.0.2.44"]


def main(argv: list[str]) -> int:
    echo_port, http_port, websocket_port, dns_port = map(int, argv[2:])
    genuine = socket.socket.connect
    with nbsocket.configure(argv[1]) as modem:
        asyncio.run(asyncio.wait_for(streams(echo_port), TIMEOUT))
        print("asyncio.open_connection(sock=)")
        asyncio.run(asyncio.wait_for(http(http_port), TIMEOUT))
        print("aiohttp socket_factory")
        asyncio.run(asyncio.wait_for(websocket(websocket_port), TIMEOUT))
        threaded_websocket(websocket_port)
        print("websockets sock=")
        if dns_port:
            dns_question(dns_port)
            print("dnspython socket_factory")
        assert len(modem.stats().connections) == (6 if dns_port else 4), modem.stats().connections
    assert socket.socket.connect is genuine
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
