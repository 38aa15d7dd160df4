"""An ordinary paho-mqtt program: connects, subscribes, publishes with QoS 1 and 2, and waits for its own messages.

Usage: mqtt_hello.py HOST PORT
"""

from __future__ import annotations

import queue
import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TIMEOUT = 30.0
#: one topic and message for each quality of service
MESSAGES = {1: ("demo/volume", b'{"volume": 123.4}'), 2: ("demo/valve", b'{"valve": "open", "note": "\r\nOK\r\n"}')}


def main() -> int:
    host, port = sys.argv[1], int(sys.argv[2])
    events: queue.Queue[tuple[str, Any]] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="nbsocket-demo")
    client.on_connect = lambda _client, _data, _flags, reason, _properties: events.put(("connected", reason))
    client.on_subscribe = lambda _client, _data, _mid, reasons, _properties: events.put(("subscribed", reasons[0]))
    client.on_message = lambda _client, _data, message: events.put(("message", message))

    client.connect(host, port, keepalive=60)
    client.loop_start()
    print("connected:", expect(events, "connected"), flush=True)
    client.subscribe([(topic, qos) for qos, (topic, _payload) in MESSAGES.items()])
    print("subscribed:", expect(events, "subscribed"), flush=True)
    for qos, (topic, payload) in MESSAGES.items():
        published = client.publish(topic, payload, qos=qos)
        published.wait_for_publish(TIMEOUT)
        message = expect(events, "message")
        print(f"published and received, QoS {message.qos}: {message.payload!r}", flush=True)
        if not published.is_published() or message.payload != payload or message.qos != qos:
            return 1
    client.disconnect()
    client.loop_stop()
    print("disconnected", flush=True)
    return 0


def expect(events: queue.Queue[tuple[str, Any]], wanted: str) -> Any:
    name, value = events.get(timeout=TIMEOUT)
    if name != wanted:
        raise RuntimeError(f"expected {wanted}, got {name}: {value}")
    return value


if __name__ == "__main__":
    sys.exit(main())
