"""A paho-mqtt program: a watcher and a device with a will, QoS 0, 1 and 2, over TCP or TLS.

Usage: mqtt_session.py HOST PORT [CA_FILE]
"""

from __future__ import annotations

import queue
import socket
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TIMEOUT = 40.0
#: Every byte value, text that looks like the modem's own, and more than fits one segment.
PAYLOADS = {0: bytes(range(256)), 1: b'\r\n+QIURC: "closed",0\r\n\r\nOK\r\n> \x1a\x1b', 2: bytes(range(256)) * 40}
WILL = b"gone without a word"


def main(argv: list[str]) -> int:
    host, port, ca_file = argv[1], int(argv[2]), (argv[3] if len(argv) > 3 else None)
    messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
    ready: queue.Queue[str] = queue.Queue()

    watcher = make_client("watcher", ca_file)
    watcher.on_message = lambda _client, _data, message: messages.put(message)
    watcher.on_subscribe = lambda *_: ready.put("subscribed")
    watcher.connect(host, port, keepalive=60)
    watcher.loop_start()
    watcher.subscribe([(f"meter/{qos}", qos) for qos in PAYLOADS] + [("meter/will", 1)])
    ready.get(timeout=TIMEOUT)

    device = make_client("device", ca_file)
    device.will_set("meter/will", WILL, qos=1)
    device.connect(host, port, keepalive=60)
    device.loop_start()
    for qos, payload in PAYLOADS.items():
        published = device.publish(f"meter/{qos}", payload, qos=qos)
        published.wait_for_publish(TIMEOUT)
        assert published.is_published(), f"QoS {qos} was not acknowledged"
        message = messages.get(timeout=TIMEOUT)
        assert (message.topic, message.payload, message.qos) == (f"meter/{qos}", payload, qos), message.topic
        print(f"QoS {qos}: {len(payload)} bytes there and back")

    device.loop_stop()
    connection = device.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    message = messages.get(timeout=TIMEOUT)
    assert (message.topic, message.payload) == ("meter/will", WILL), message.topic
    print("the will came")
    watcher.disconnect()
    watcher.loop_stop()
    assert messages.empty(), "a message came twice"
    return 0


def make_client(name: str, ca_file: str | None) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"nbsocket-{name}")
    if ca_file is not None:
        client.tls_set(ca_file)
    return client


if __name__ == "__main__":
    sys.exit(main(sys.argv))
