"""redis-py: the plain and the asyncio client, pipelines, publish and subscribe, over TCP and TLS.

Usage: redis_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import redis
import redis.asyncio

TIMEOUT = 60.0
VALUE = bytes(range(256)) * 40


def plain(options: dict[str, Any]) -> None:
    with redis.Redis(**options) as client:
        assert client.set("value", VALUE)
        assert client.get("value") == VALUE
        with client.pipeline() as pipeline:
            for number in range(20):
                pipeline.incrby("sum", number)
            assert pipeline.execute()[-1] == sum(range(20))
        with client.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe("news")
            assert subscription.get_message(timeout=TIMEOUT) is None
            assert client.publish("news", "good") == 1
            message = subscription.get_message(timeout=TIMEOUT)
            assert message and message["data"] == b"good"
        client.delete("sum")


async def asynchronous(options: dict[str, Any]) -> None:
    async with redis.asyncio.Redis(**options) as client:
        assert await client.set("value", VALUE)
        assert await client.get("value") == VALUE
        async with client.pipeline() as pipeline:
            for number in range(20):
                pipeline.incrby("sum", number)
            assert (await pipeline.execute())[-1] == sum(range(20))
        await client.delete("sum")


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    common = {"host": host, "socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "socket_keepalive": True}
    for options in ({"port": port}, {"port": tls_port, "ssl": True, "ssl_ca_certs": ca_file}):
        plain({**common, **options})
        asyncio.run(asynchronous({**common, **options}))
    for line in ("sync", "asyncio", "pipelines", "publish and subscribe", "TCP and TLS"):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
