"""grpclib: unary calls and a stream each way, over HTTP/2 in clear and over TLS; bytes in place of protobuf.

Usage: grpclib_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.encoding.base import CodecBase

TIMEOUT = 60.0


class Plain(CodecBase):
    """Messages that are bytes already."""

    __content_subtype__ = "bytes"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


async def session(channel: Channel) -> None:
    call = UnaryUnaryMethod(channel, "/meter.Meter/Reverse", bytes, bytes)
    for body in (b"", b"abc", bytes(range(256)) * 40):
        assert await call(body, timeout=TIMEOUT) == body[::-1]
    stream_method = StreamStreamMethod(channel, "/meter.Meter/Echo", bytes, bytes)
    async with stream_method.open(timeout=TIMEOUT) as stream:
        for number in range(5):
            await stream.send_message(b"%d" % number, end=number == 4)
        assert [message async for message in stream] == [b"%d" % number for number in range(5)]
    channel.close()


async def both(argv: list[str]) -> None:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    await session(Channel(host, port, codec=Plain()))
    print("HTTP/2")
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["h2"])
    await session(Channel(host, tls_port, codec=Plain(), ssl=context))
    print("HTTP/2 over TLS")


def main(argv: list[str]) -> int:
    asyncio.run(both(argv))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
