"""paho-mqtt: MQTT 3.1.1 and 5, loop_start and loop_forever, and a connection that the broker breaks.

Usage: mqtt_features.py HOST PORT TLS_PORT CA_FILE
"""

from __future__ import annotations

import queue
import sys
import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TIMEOUT = 40.0


def main(argv: list[str]) -> int:
    host, ports, ca_file = argv[1], (int(argv[2]), int(argv[3])), argv[4]
    for port, is_tls in zip(ports, (False, True), strict=True):
        for version in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5):
            session(host, port, ca_file if is_tls else None, version)
        broken(host, port, ca_file if is_tls else None)
    for line in ("v3.1.1 and v5 over TCP and TLS", "loop_start", "loop_forever", "reconnecting by itself"):
        print(line)
    return 0


def make_client(name: str, ca_file: str | None, version: MQTTProtocolVersion, **options: Any) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=version, **options)
    if ca_file is not None:
        client.tls_set(ca_file)
    return client


def session(host: str, port: int, ca_file: str | None, version: MQTTProtocolVersion) -> None:
    """A publisher under loop_start, a subscriber under loop_forever."""
    topic = f"features/{port}/{int(version)}"
    ready: queue.Queue[str] = queue.Queue()
    messages: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
    subscriber = make_client(f"subscriber-{port}", ca_file, version)
    subscriber.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
    subscriber.on_subscribe = lambda *_: ready.put("subscribed")
    subscriber.on_message = lambda _client, _data, message: messages.put(message)
    subscriber.connect(host, port, keepalive=60)
    listening = threading.Thread(target=subscriber.loop_forever)
    listening.start()
    ready.get(timeout=TIMEOUT)

    publisher = make_client(f"publisher-{port}", ca_file, version)
    publisher.connect(host, port, keepalive=60)
    publisher.loop_start()
    properties = None
    if version is MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = "answers/here"
        properties.UserProperty = [("unit", "m3")]
    publisher.publish(topic, b"17.25" * 300, qos=1, properties=properties).wait_for_publish(TIMEOUT)
    message = messages.get(timeout=TIMEOUT)
    assert message.payload == b"17.25" * 300
    if properties is not None:
        assert message.properties is not None
        assert message.properties.ResponseTopic == "answers/here"
        assert message.properties.UserProperty == [("unit", "m3")]
    publisher.disconnect()
    publisher.loop_stop()
    subscriber.disconnect()
    listening.join(TIMEOUT)
    assert not listening.is_alive(), "loop_forever did not end"


def broken(host: str, port: int, ca_file: str | None) -> None:
    """The broker throws a client out when another one takes its name; the client must come back by itself."""
    version = MQTTProtocolVersion.MQTTv311
    connected: queue.Queue[str] = queue.Queue()
    client = make_client(f"meter-{port}", ca_file, version)
    client.reconnect_delay_set(min_delay=1, max_delay=2)
    client.on_connect = lambda *_: connected.put("connected")
    client.on_disconnect = lambda *_: connected.put("disconnected")
    client.connect(host, port, keepalive=60)
    client.loop_start()
    assert connected.get(timeout=TIMEOUT) == "connected"
    thief = make_client(f"meter-{port}", ca_file, version, reconnect_on_failure=False)
    thief.connect(host, port, keepalive=60)
    thief.loop_start()
    assert connected.get(timeout=TIMEOUT) == "disconnected"
    assert connected.get(timeout=TIMEOUT) == "connected"
    client.publish("features/back", b"again", qos=1).wait_for_publish(TIMEOUT)
    thief.loop_stop()
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv))
