"""Everything was imported before the patch, with the names that programs take."""

import http.client
import socket
import ssl
import urllib.request
from socket import create_connection, getaddrinfo, gethostbyname
from socket import socket as socket_class

import nbsocket
from tests.isolated._far_side import ADDRESS, HOST, echo, tcp_server

modem = nbsocket.configure("sim://")
with tcp_server(echo) as port:
    nbsocket.patch()
    assert getaddrinfo(HOST, port)[0][4] == (gethostbyname(HOST), port)
    with create_connection((HOST, port), 10) as sock:
        assert type(sock) is socket_class is socket.socket
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
    with socket_class() as sock:
        sock.connect((ADDRESS, port))
        assert sock.getpeername() == (ADDRESS, port)
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.connect()
    assert connection.sock.getpeername()[1] == port
    connection.close()
    nbsocket.unpatch()
    assert getaddrinfo is socket.getaddrinfo
assert ssl.SSLSocket.__mro__[1] is socket.socket
assert urllib.request
assert len(modem.stats().connections) == 3
modem.close()
print("done")
