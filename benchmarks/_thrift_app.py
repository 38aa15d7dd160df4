"""The programs whose cost on the line is counted: ``python -m benchmarks._thrift_app``, in a process of its own.

``modem PORT FORMAT`` runs them over nbsocket, patched and otherwise unmodified; ``plain JSON`` over the operating
system's sockets, where the JSON says to which port of loopback each port leads. Then each line on stdin names a
program, the host that it is to speak to and the file of a certificate authority, and a line on stdout says that it has
ended. Nothing in a program knows which way it goes.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Literal

MQTT_PORT, HTTPS_PORT, HTTP_PORT, CLOSING_PORT, SINK_PORT, UDP_SINK_PORT, UDP_ECHO_PORT = (
    1883,
    443,
    80,
    8080,
    7000,
    5683,
    7001,
)

UPLOAD_SIZE = 2000
DATAGRAM = bytes(range(10))
TIMEOUT = 30


def _open_and_close(host: str, ca: str) -> None:
    socket.create_connection((host, SINK_PORT), TIMEOUT).close()


def _upload(host: str, ca: str) -> None:
    with socket.create_connection((host, SINK_PORT), TIMEOUT) as sock:
        sock.sendall(bytes(UPLOAD_SIZE))


def _datagram(host: str, ca: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(DATAGRAM, (host, UDP_SINK_PORT))


def _exchange(host: str, ca: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.sendto(DATAGRAM, (host, UDP_ECHO_PORT))
        sock.recv(1024)


def _look_up(host: str, ca: str) -> None:
    socket.getaddrinfo(host, HTTPS_PORT, type=socket.SOCK_STREAM)


def _mqtt(host: str, ca: str) -> None:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="meter-17")
    client.on_connect = lambda client, *_: client.subscribe("meter/17/set", qos=1)
    client.on_subscribe = lambda client, *_: client.publish("meter/17/state", b'{"temperature": 21.5}', qos=1)
    client.on_publish = lambda client, *_: client.disconnect()
    client.connect(host, MQTT_PORT)
    client.loop_forever()


def _post(host: str, ca: str) -> None:
    import requests

    requests.post(f"http://{host}/data", json={"temperature": 21.5}, timeout=TIMEOUT).raise_for_status()


def _get_closed(host: str, ca: str) -> None:
    import requests

    requests.get(f"http://{host}:{CLOSING_PORT}/status", timeout=TIMEOUT).raise_for_status()


def _handshake(host: str, ca: str) -> None:
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((host, HTTPS_PORT), TIMEOUT) as sock:
        context.wrap_socket(sock, server_hostname=host).close()


def _https(host: str, ca: str) -> None:
    import requests

    requests.get(f"https://{host}/status", timeout=TIMEOUT, verify=ca).raise_for_status()


PROGRAMS: dict[str, Callable[[str, str], None]] = {
    "open and close": _open_and_close,
    "upload": _upload,
    "datagram": _datagram,
    "exchange": _exchange,
    "look-up": _look_up,
    "mqtt": _mqtt,
    "post": _post,
    "get, closed": _get_closed,
    "handshake": _handshake,
    "https": _https,
}


def _go_over_modem(port: str, data_format: Literal["hex", "raw"]) -> None:
    import nbsocket

    modem = nbsocket.configure(port, baudrate=115200, data_format=data_format)
    modem.wait_attached(TIMEOUT)
    nbsocket.patch()


def _go_to_loopback(ports: dict[str, int]) -> None:
    """Lead look-ups and addresses to this machine, as the simulator does for the modem."""
    genuine = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *others: Any, **options: Any) -> Any:
        return genuine("127.0.0.1", ports.get(str(port), port), *others, **options)

    class Socket(socket.socket):
        def sendto(self, data: Any, *rest: Any) -> int:
            return super().sendto(data, ("127.0.0.1", ports[str(rest[-1][1])]))

    for name, value in (("getaddrinfo", getaddrinfo), ("socket", Socket)):
        setattr(socket, name, value)


def main(way: str, *arguments: str) -> None:
    """See the module."""
    if way == "modem":
        port, data_format = arguments
        _go_over_modem(port, "raw" if data_format == "raw" else "hex")
    else:
        _go_to_loopback(json.loads(arguments[0]))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        PROGRAMS[request["program"]](request["host"], request["ca"])
        print(json.dumps("done"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
