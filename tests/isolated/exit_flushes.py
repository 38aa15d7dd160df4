"""Sends to a patched socket and ends at once, without closing anything: argument is the server's port."""

import socket
import sys

import nbsocket
from tests.helpers import pattern
from tests.isolated._far_side import ADDRESS

nbsocket.configure("sim://?latency=0.02")
nbsocket.patch()
sock = socket.create_connection((ADDRESS, int(sys.argv[1])), 10)
sock.sendall(pattern(20_000))
sock.detach()
print("sent")
