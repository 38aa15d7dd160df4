"""kafka-python: a producer and a consumer, several batches, and the list of topics.

Usage: kafka_session.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

TIMEOUT_MS = 60_000
TOPIC = "meters"
BODIES = [bytes([number]) * size for number, size in enumerate((0, 1, 10_000, 100))]


def main(argv: list[str]) -> int:
    address = f"{argv[1]}:{argv[2]}"
    producer = KafkaProducer(bootstrap_servers=address, request_timeout_ms=TIMEOUT_MS, max_block_ms=TIMEOUT_MS)
    last = [producer.send(TOPIC, body, partition=0).get(60) for body in BODIES][-1]
    producer.close(60)
    print("producer")
    consumer = KafkaConsumer(
        bootstrap_servers=address,
        request_timeout_ms=TIMEOUT_MS,
        consumer_timeout_ms=TIMEOUT_MS,
        fetch_max_wait_ms=100,
    )
    partition = TopicPartition(TOPIC, 0)
    consumer.assign([partition])
    consumer.seek(partition, last.offset - len(BODIES) + 1)
    assert [next(consumer).value for _ in BODIES] == BODIES
    print("consumer")
    assert TOPIC in consumer.topics()
    consumer.close()
    print("list of topics")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
