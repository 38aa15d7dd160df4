"""aiomqtt: publish and subscribe over TCP and TLS.

Usage: aiomqtt_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import aiomqtt

TIMEOUT = 40.0


async def session(host: str, port: int, context: ssl.SSLContext | None) -> None:
    options = {"tls_context": context, "timeout": TIMEOUT}
    async with (
        aiomqtt.Client(host, port, identifier="listener", **options) as listener,
        aiomqtt.Client(host, port, identifier="meter", **options) as meter,
    ):
        await listener.subscribe("meters/#", qos=1)
        for size in (0, 1, 5000):
            await meter.publish(f"meters/{size}", b"\xa5" * size, qos=1)
        sizes = []
        async for message in listener.messages:
            sizes.append(len(message.payload))
            if len(sizes) == 3:
                break
        assert sizes == [0, 1, 5000], sizes


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    asyncio.run(asyncio.wait_for(session(host, port, None), TIMEOUT))
    print("TCP")
    asyncio.run(asyncio.wait_for(session(host, tls_port, ssl.create_default_context(cafile=ca_file)), TIMEOUT))
    print("TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
