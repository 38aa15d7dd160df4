"""websockets: the threaded and the asyncio client, over TCP and TLS.

Usage: websockets_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import websockets.asyncio.client
import websockets.sync.client

TIMEOUT = 60.0
MESSAGES = ["", "grüße", b"\x00\xff" * 4000, b'\r\n+QIURC: "closed",0\r\n']


def threaded(uri: str, options: dict[str, Any]) -> None:
    with websockets.sync.client.connect(uri, open_timeout=TIMEOUT, **options) as connection:
        for message in MESSAGES:
            connection.send(message)
            assert connection.recv(timeout=TIMEOUT) == message


async def asynchronous(uri: str, options: dict[str, Any]) -> None:
    options = {"open_timeout": TIMEOUT, "ping_timeout": TIMEOUT, **options}
    async with websockets.asyncio.client.connect(uri, **options) as connection:
        for message in MESSAGES:
            await connection.send(message)
            assert await asyncio.wait_for(connection.recv(), TIMEOUT) == message
        await asyncio.wait_for(await connection.ping(), TIMEOUT)


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1:5]
    context = ssl.create_default_context(cafile=ca_file)
    targets: list[tuple[str, dict[str, Any]]] = [
        (f"ws://{host}:{port}", {}),
        (f"wss://{host}:{tls_port}", {"ssl": context}),
    ]
    for uri, options in targets:
        threaded(uri, options)
        asyncio.run(asynchronous(uri, options))
    for line in ("sync", "asyncio", "TCP and TLS"):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
