"""pika: the blocking connection and the one under asyncio, over TCP and TLS.

Usage: pika_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

TIMEOUT = 60.0
BODY = bytes(range(256)) * 40


def make_parameters(host: str, port: int, context: ssl.SSLContext | None) -> pika.ConnectionParameters:
    return pika.ConnectionParameters(
        host,
        port,
        socket_timeout=TIMEOUT,
        stack_timeout=TIMEOUT,
        blocked_connection_timeout=TIMEOUT,
        ssl_options=None if context is None else pika.SSLOptions(context, host),
    )


def blocking(parameters: pika.ConnectionParameters) -> None:
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.confirm_delivery()
        for body in (b"", b"1", BODY):
            channel.basic_publish("", queue, body)
        received = []
        for method, _properties, body in channel.consume(queue, inactivity_timeout=TIMEOUT):
            channel.basic_ack(method.delivery_tag)
            received.append(body)
            if len(received) == 3:
                break
        assert received == [b"", b"1", BODY]


async def asynchronous(parameters: pika.ConnectionParameters) -> None:
    opened: asyncio.Future[AsyncioConnection] = asyncio.get_running_loop().create_future()
    closed = asyncio.Event()
    AsyncioConnection(
        parameters,
        on_open_callback=opened.set_result,
        on_open_error_callback=lambda _connection, error: opened.set_exception(error),
        on_close_callback=lambda *_: closed.set(),
    )
    connection = await asyncio.wait_for(opened, TIMEOUT)
    connection.close()
    await asyncio.wait_for(closed.wait(), TIMEOUT)


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file = argv[1], int(argv[2]), int(argv[3]), argv[4]
    context = ssl.create_default_context(cafile=ca_file)
    for parameters in (make_parameters(host, port, None), make_parameters(host, tls_port, context)):
        blocking(parameters)
        asyncio.run(asynchronous(parameters))
    for line in ("BlockingConnection", "AsyncioConnection", "TCP and TLS"):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
