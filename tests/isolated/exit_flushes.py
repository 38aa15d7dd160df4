"""What was sent arrives although the program ends at once, without closing anything."""

import atexit
import socket
import threading

import nbsocket
from tests.helpers import PATIENCE, pattern, receive_all
from tests.isolated._far_side import ADDRESS, tcp_server

DATA = pattern(20_000)
arrived: list[bytes] = []
is_over = threading.Event()


def collect(connection: socket.socket) -> None:
    arrived.append(receive_all(connection))
    is_over.set()


server = tcp_server(collect)
port = server.__enter__()


def check() -> None:
    assert is_over.wait(PATIENCE)
    print("done" if arrived == [DATA] else f"only {len(b''.join(arrived))} bytes")


atexit.register(check)
nbsocket.configure("sim://?latency=0.02")
nbsocket.patch()
sock = socket.create_connection((ADDRESS, port), 10)
sock.sendall(DATA)
sock.detach()
