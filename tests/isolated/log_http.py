"""Warnings go to a server over the very modem that says them: the module restarts, and the modem serves on."""

import logging
import logging.handlers
import socket
import sys

import nbsocket
from nbsocket.sim import Simulator
from tests.helpers import PATIENCE, tcp_server
from tests.isolated._far_side import ADDRESS


def answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return
        data += piece
    connection.sendall(b"HTTP/1.0 204 No Content\r\n\r\n")


is_slow = sys.argv[1] == "slow"
with Simulator() as simulator, tcp_server(answer) as port:
    modem = nbsocket.Modem(simulator.path)
    nbsocket.patch(modem)
    handler = logging.handlers.HTTPHandler(f"{ADDRESS}:{port}", "/log", method="POST")
    logging.getLogger().addHandler(handler)
    if is_slow:
        # As when another thread of the program is just using the handler.
        handler.acquire()
    for _ in range(3):
        with socket.create_connection((ADDRESS, port), PATIENCE) as sock:
            simulator.power_on()
            try:
                while sock.recv(100):
                    pass
            except OSError as error:
                print(type(error).__name__)
    if is_slow:
        handler.release()
    with socket.create_connection((ADDRESS, port), PATIENCE):
        print("connected")
    logging.getLogger().removeHandler(handler)
    nbsocket.unpatch()
    modem.close()
