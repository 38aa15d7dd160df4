"""Root at DEBUG and a SysLogHandler over the modem: prints how many times it sends for one record.

Arguments: "udp" or "tcp", and the host.
"""

import logging
import logging.handlers
import queue
import socket
import sys

import nbsocket
from tests.helpers import PATIENCE
from tests.isolated._far_side import tcp_server, udp_server

#: Seconds without another send after which there is none to come.
QUIET = 3.0

way, host = sys.argv[1:]
arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()


def collect(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        arrived.put(data)


server = udp_server(arrived.put) if way == "udp" else tcp_server(collect)
with server as port, nbsocket.Modem("sim://?latency=0.05") as modem, nbsocket.patch(modem):
    modem.wait_attached()
    kind = socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM
    handler = logging.handlers.SysLogHandler((host, port), socktype=kind)
    modem.command("AT")
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("program").debug("the record")
    sends: list[bytes] = []
    try:
        while True:
            sends.append(arrived.get(timeout=PATIENCE if not sends else QUIET))
    except queue.Empty:
        pass
    logging.getLogger().removeHandler(handler)
    handler.close()
assert any(b"the record" in data for data in sends), sends
print(b"".join(sends).count(b"\0"))
