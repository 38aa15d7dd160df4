"""The patch came first, by the environment's port."""

import os

import nbsocket
from tests.isolated._far_side import HOST, echo, tcp_server

os.environ["NBSOCKET_PORT"] = "sim://"
nbsocket.patch()

import asyncio  # noqa: E402
from socket import create_connection, getaddrinfo, gethostbyname  # noqa: E402

with tcp_server(echo) as port:
    assert getaddrinfo(HOST, port)[0][4] == (gethostbyname(HOST), port)
    with create_connection((HOST, port), 10) as sock:
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"

    async def talk() -> bytes:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"hello")
        data = await reader.readexactly(5)
        writer.close()
        await writer.wait_closed()
        return data

    assert asyncio.run(talk()) == b"hello"
nbsocket.unpatch()
# Functions taken while patched stay wrappers; they do the genuine thing now.
assert getaddrinfo("127.0.0.1", 80)
print("done")
