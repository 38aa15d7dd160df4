"""asyncio: streams over TCP and TLS, STARTTLS, datagram endpoints connected and not.

Usage: asyncio_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from typing import Any

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


async def stream(host: str, port: int, context: ssl.SSLContext | None) -> None:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.write(BODY)
    await writer.drain()
    assert await reader.readexactly(len(BODY)) == BODY
    assert writer.get_extra_info("peername")[1] == port
    writer.close()
    await writer.wait_closed()


class Collector(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))


async def datagrams(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0][4]
    transport, protocol = await loop.create_datagram_endpoint(Collector, remote_addr=(host, port))
    transport.sendto(b"one")
    assert await protocol.received.get() == (b"one", address)
    transport.close()
    transport, protocol = await loop.create_datagram_endpoint(Collector, local_addr=("0.0.0.0", 0))
    transport.sendto(b"two", address)
    assert await protocol.received.get() == (b"two", address)
    transport.close()


async def low_level(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0][4]
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, b"low")
        assert await loop.sock_recv(sock, 3) == b"low"


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    for line, work in (
        ("streams over TCP", stream(host, port, None)),
        ("streams over TLS", stream(host, tls_port, context)),
        ("datagram endpoints", datagrams(host, port)),
        ("sock_connect and its like", low_level(host, port)),
    ):
        asyncio.run(asyncio.wait_for(work, TIMEOUT), debug=True)
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
