"""A forked child leaves the port alone; the parent's connections go on."""

import errno
import os
import socket

import nbsocket
from tests.isolated._far_side import ADDRESS, echo, tcp_server

with nbsocket.configure("sim://") as modem, tcp_server(echo) as port:
    nbsocket.patch()
    with socket.create_connection((ADDRESS, port), 10) as sock:
        sock.sendall(b"one")
        assert sock.recv(10) == b"one"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert sock.getpeername() == (ADDRESS, port)
                sock.sendall(b"two")
                assert sock.recv(10) == b"two"
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        sock.sendall(b"three")
        assert sock.recv(10) == b"three"
    nbsocket.unpatch()
assert errno
print("done")
