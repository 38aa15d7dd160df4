"""anyio on asyncio and on trio: streams over TCP and TLS, datagrams.

Usage: anyio_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import ssl
import sys

import anyio
from anyio.abc import ByteStream

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


async def echo(stream: ByteStream) -> None:
    async with stream:
        await stream.send(BODY)
        received = b""
        while len(received) < len(BODY):
            received += await stream.receive()
        assert received == BODY


async def session(host: str, port: int, tls_port: int, context: ssl.SSLContext) -> None:
    with anyio.fail_after(TIMEOUT):
        await echo(await anyio.connect_tcp(host, port))
        await echo(await anyio.connect_tcp(host, tls_port, ssl_context=context, tls_hostname=host))
        async with await anyio.create_connected_udp_socket(host, port) as connected:
            await connected.send(b"one")
            assert await connected.receive() == b"one"
            address = str(connected.extra(anyio.abc.SocketAttribute.remote_address)[0])
        async with await anyio.create_udp_socket(local_host="0.0.0.0") as udp:
            await udp.sendto(b"two", address, port)
            assert await udp.receive() == (b"two", (address, port))


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    for backend in ("asyncio", "trio"):
        anyio.run(session, host, port, tls_port, context, backend=backend)
        print(backend)
    print("TCP, TLS and UDP")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
