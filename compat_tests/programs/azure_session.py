"""azure-iot-device: connect over TLS, send telemetry, receive a message from the cloud's side, disconnect.

Usage: azure_session.py HOST PORT TLS_PORT CA_FILE (the SDK itself always connects to port 8883)
"""

from __future__ import annotations

import queue
import sys
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from azure.iot.device import IoTHubDeviceClient, Message

TIMEOUT = 60.0


def main(argv: list[str]) -> int:
    host, port, ca_file = argv[1], int(argv[2]), argv[4]
    arrived: queue.Queue[tuple[str, bytes]] = queue.Queue()
    cloud = mqtt.Client("cloud")
    cloud.on_message = lambda _client, _data, message: arrived.put((message.topic, message.payload))
    cloud.connect(host, port, 600)
    cloud.subscribe("devices/meter/messages/events/#", 1)
    cloud.loop_start()

    text = f"HostName={host};DeviceId=meter;SharedAccessKey=b3BlbiBzZXNhbWU="
    device = IoTHubDeviceClient.create_from_connection_string(
        text, server_verification_cert=Path(ca_file).read_text(), keep_alive=600, connection_retry=False
    )
    received: queue.Queue[Any] = queue.Queue()
    device.connect()
    print("TLS")
    device.on_message_received = received.put
    device.send_message(Message("17 kWh"))
    topic, payload = arrived.get(timeout=TIMEOUT)
    assert topic.startswith("devices/meter/messages/events/") and payload == b"17 kWh"
    print("telemetry")
    cloud.publish("devices/meter/messages/devicebound/%24.mid=1", b"read it", 1)
    assert received.get(timeout=TIMEOUT).data == b"read it"
    print("messages to the device")
    device.shutdown()
    cloud.loop_stop()
    cloud.disconnect()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
