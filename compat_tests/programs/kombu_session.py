"""kombu: a queue by AMQP (over TCP and TLS) or by Redis, with messages acknowledged.

Usage: kombu_session.py HOST PORT TLS_PORT CA_FILE amqp|redis
"""

from __future__ import annotations

import contextlib
import ssl
import sys
from typing import Any

from kombu import Connection, Consumer, Exchange, Producer, Queue

TIMEOUT = 60
BODY = bytes(range(256)) * 40


def session(url: str, **options: Any) -> None:
    received: list[Any] = []

    def keep(body: Any, message: Any) -> None:
        received.append(bytes(body))
        message.ack()

    queue = Queue("meters", Exchange("meters", durable=False), "meters", durable=False)
    with Connection(url, connect_timeout=TIMEOUT, **options) as connection:
        producer = Producer(connection, serializer="raw")
        for body in (b"1", BODY):
            producer.publish(
                body, exchange=queue.exchange, routing_key="meters", declare=[queue],
                content_type="application/octet-stream", content_encoding="binary", delivery_mode=1,
            )  # fmt: skip
        with Consumer(connection, [queue], callbacks=[keep], accept=["application/octet-stream"]):
            while len(received) < 2:
                connection.drain_events(timeout=TIMEOUT)
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=0.1)
    assert received == [b"1", BODY]


def main(argv: list[str]) -> int:
    host, port, tls_port, ca_file, kind = argv[1], int(argv[2]), int(argv[3]), argv[4], argv[5]
    if kind == "redis":
        session(f"redis://{host}:{port}/0", transport_options={"socket_timeout": TIMEOUT})
        print("Redis")
        return 0
    session(f"amqp://guest:guest@{host}:{port}//")
    session(
        f"amqps://guest:guest@{host}:{tls_port}//",
        ssl={"ca_certs": ca_file, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host},
    )
    print("AMQP over TCP and TLS")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
