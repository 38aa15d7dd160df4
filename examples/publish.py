"""An ordinary paho-mqtt program; nothing in it knows of the module.

    nbsocket --port /dev/ttyUSB0 run examples/publish.py broker.example 1883

NB-IoT answers in seconds, not milliseconds: hence the time-outs.
"""

from __future__ import annotations

import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


def main(host: str, port: int) -> int:
    """Publish one measurement with QoS 1 and wait for its acknowledgement."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect_timeout = 60.0
    client.connect(host, port, keepalive=600)
    client.loop_start()
    published = client.publish("meter/42", b'{"volume": 123.4}', qos=1)
    published.wait_for_publish(60.0)
    client.disconnect()
    client.loop_stop()
    print("published" if published.is_published() else "not acknowledged")
    return 0 if published.is_published() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
