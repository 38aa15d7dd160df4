"""trio: streams over TCP and TLS, datagrams, a cancelled connect.

Usage: trio_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import ssl
import sys

import trio

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


async def echo(stream: trio.abc.Stream) -> None:
    async with stream:
        await stream.send_all(BODY)
        received = b""
        while len(received) < len(BODY):
            received += await stream.receive_some()
        assert received == BODY


async def datagrams(host: str, port: int) -> None:
    address = (await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_DGRAM))[0][4]
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.sendto(b"one", address)
        assert await sock.recvfrom(100) == (b"one", address)
        await sock.connect(address)
        await sock.send(b"two")
        assert await sock.recv(100) == b"two"


async def session(host: str, port: int, tls_port: int, context: ssl.SSLContext) -> None:
    with trio.fail_after(TIMEOUT):
        await echo(await trio.open_tcp_stream(host, port))
        print("streams over TCP")
        await echo(await trio.open_ssl_over_tcp_stream(host, tls_port, ssl_context=context))
        print("streams over TLS")
        await datagrams(host, port)
        print("datagrams")
        for _ in range(7):
            with trio.move_on_after(0):
                await trio.open_tcp_stream(host, port)
        await echo(await trio.open_tcp_stream(host, port))
        print("cancelling a connect")


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    trio.run(session, host, port, tls_port, ssl.create_default_context(cafile=ca_file))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
