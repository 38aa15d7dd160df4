"""nats-py: publish and subscribe, requests and answers, over TCP or TLS.

Usage: nats_session.py HOST PORT TLS_PORT CA_FILE [tls]
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import nats
from nats.aio.msg import Msg

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


async def session(host: str, port: int, context: ssl.SSLContext | None) -> None:
    if context is None:
        client = await nats.connect(f"nats://{host}:{port}", connect_timeout=int(TIMEOUT))
    else:
        client = await nats.connect(f"tls://{host}:{port}", connect_timeout=int(TIMEOUT), tls=context)
    subscription = await client.subscribe("meters.*")

    async def answer(message: Msg) -> None:
        await message.respond(message.data[::-1])

    await client.subscribe("questions", cb=answer)
    await client.publish("meters.1", BODY)
    assert (await subscription.next_msg(TIMEOUT)).data == BODY
    assert (await client.request("questions", b"abc", TIMEOUT)).data == b"cba"
    await client.drain()


def main(argv: list[str]) -> int:
    host, port, ca_file, is_tls = argv[1], int(argv[2]), argv[4], "tls" in argv[5:]
    context = ssl.create_default_context(cafile=ca_file) if is_tls else None
    asyncio.run(asyncio.wait_for(session(host, port, context), TIMEOUT))
    print("TLS" if is_tls else "TCP")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
