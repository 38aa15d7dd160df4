"""``import nbsocket as socket`` in place of the standard library's, in a library that never heard of it."""

import importlib
import socket as stdlib
import sys
import threading

import nbsocket

sys.modules["socket"] = nbsocket
sys.modules.pop("http.client", None)
http_over_modem = importlib.import_module("http.client")
assert http_over_modem.socket is nbsocket

with nbsocket.configure("sim://") as modem, stdlib.create_server(("127.0.0.1", 0)) as server:

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

    thread = threading.Thread(target=serve)
    thread.start()
    connection = http_over_modem.HTTPConnection("server.example", server.getsockname()[1], timeout=20)
    connection.request("GET", "/")
    assert type(connection.sock) is nbsocket.socket
    response = connection.getresponse()
    assert response.read() == b"hello"
    connection.close()
    thread.join()
    assert len(modem.stats().connections) == 1
print("done")
