"""Sends, closes nothing and ends: arguments are the modem's port and the server's."""

from __future__ import annotations

import socket
import sys

from nbsocket import Modem
from nbsocket._channel import StreamChannel

url, port = sys.argv[1], int(sys.argv[2])
modem = Modem(url)
sock = socket.socket()
channel = StreamChannel(sock, ("198.51.100.7", port))
modem.engine.connect_and_wait(channel, "198.51.100.7", port, timeout=20)
channel.install(sock)
sock.sendall(bytes(range(256)) * 50)
print("sent")
sock.detach()
