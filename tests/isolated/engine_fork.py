"""Forks with an open connection: the argument is the modem's port."""

from __future__ import annotations

import errno
import os
import socket
import sys

from nbsocket import Modem
from nbsocket._channel import StreamChannel
from tests.helpers import echo, tcp_server

FAR = "198.51.100.7"

modem = Modem(sys.argv[1])
with tcp_server(echo) as port:

    def connect() -> socket.socket:
        sock = socket.socket()
        sock.settimeout(20)
        channel = StreamChannel(sock, (FAR, port))
        try:
            modem.engine.connect_and_wait(channel, FAR, port, timeout=20)
            channel.install(sock)
        except OSError:
            sock.close()
            raise
        return sock

    sock = connect()
    parent = os.getpid()
    child = os.fork()
    if not child:
        status = 1
        try:
            connect()
        except OSError as error:
            if error.errno == errno.EBUSY and f"PID {parent}" in str(error):
                sock.sendall(b"child")
                status = 0 if sock.recv(10) == b"child" else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    sock.sendall(b"parent")
    assert sock.recv(10) == b"parent"
    with connect() as other:
        other.sendall(b"other")
        assert other.recv(10) == b"other"
    sock.close()
modem.close()
print("ok")
