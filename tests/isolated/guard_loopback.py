"""The strict guard where even loopback is to go over the modem: a TCP connection past it is refused."""

import _socket
import errno
import socket

import nbsocket
from nbsocket._patching._strict import refuse_host_network
from nbsocket._routing._bypass import Bypass
from tests.helpers import echo, tcp_server

refuse_host_network(Bypass.parse("none"))

with tcp_server(echo) as port, nbsocket.configure("sim://"), nbsocket.patch(bypass="none"):
    try:
        _socket.socket().connect(("127.0.0.1", port))
    except OSError as error:
        assert error.errno == errno.EACCES and "--strict" in str(error), error
    else:
        raise AssertionError("connected past the modem")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
    for end in socket.socketpair():
        end.close()
    if hasattr(socket, "_fallback_socketpair"):
        for end in socket._fallback_socketpair():
            end.close()
print("done")
