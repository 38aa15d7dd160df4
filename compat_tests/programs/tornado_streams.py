"""Tornado: IOStream over TCP and TLS, and a stream whose socket is watched before it is connected.

Usage: tornado_streams.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


async def echo(stream: IOStream) -> None:
    await stream.write(BODY)
    assert await stream.read_bytes(len(BODY)) == BODY
    stream.close()


async def session(argv: list[str]) -> None:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    client = TCPClient()
    await echo(await client.connect(host, port, timeout=TIMEOUT))
    await echo(await client.connect(host, tls_port, ssl_options=context, timeout=TIMEOUT))
    client.close()
    stream = IOStream(socket.socket())
    await stream.connect((socket.gethostbyname(host), port))
    await echo(stream)
    watched = socket.socket()
    watched.setblocking(False)
    ready: asyncio.Queue[int] = asyncio.Queue()
    loop = IOLoop.current()
    address = socket.gethostbyname(host), port
    loop.add_handler(watched, lambda _sock, events: ready.put_nowait(events), IOLoop.READ)
    watched.connect_ex(address)
    loop.update_handler(watched, IOLoop.WRITE)
    assert await asyncio.wait_for(ready.get(), TIMEOUT) == IOLoop.WRITE
    assert watched.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    loop.update_handler(watched, IOLoop.READ)
    while not ready.empty():
        ready.get_nowait()
    watched.send(b"watched")
    assert await asyncio.wait_for(ready.get(), TIMEOUT) == IOLoop.READ
    assert watched.recv(7) == b"watched"
    loop.remove_handler(watched)
    watched.close()


def main(argv: list[str]) -> int:
    asyncio.run(session(argv))
    print("IOStream over TCP and TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
