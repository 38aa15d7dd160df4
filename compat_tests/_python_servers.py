"""Servers that come as Python packages.

Usage: ``python -m compat_tests._python_servers KIND PORT TLS_PORT CERTIFICATE FOLDER``.

They use the operating system's sockets; nothing here knows of the modem.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
USER, PASSWORD = "meter", "open sesame"


def make_context(certificate: str) -> ssl.SSLContext:
    """Return the context of a server with this key and chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read, up to its end; an echo where both are of one connection."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def echo(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Echo over TCP, TLS and UDP."""

    class Datagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data, address)

    await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, local_addr=(HOST, port))
    await asyncio.start_server(copy, HOST, port)
    await asyncio.start_server(copy, HOST, tls_port, ssl=make_context(certificate))
    await asyncio.Event().wait()


async def websockets(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Echo over WebSocket, with websockets' own server."""
    from websockets.asyncio.server import ServerConnection, serve

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(handle, HOST, port), serve(handle, HOST, tls_port, ssl=make_context(certificate)):
        await asyncio.Event().wait()


async def modbus(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """A Modbus device with 100 registers: pymodbus' own server."""
    from pymodbus.server import ModbusTcpServer, ModbusTlsServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    device = SimDevice(1, [SimData(0, count=100, values=17, datatype=DataType.REGISTERS)])
    plain = ModbusTcpServer(device, address=(HOST, port))
    secure = ModbusTlsServer(device, address=(HOST, tls_port), sslctx=make_context(certificate))
    await asyncio.gather(plain.serve_forever(), secure.serve_forever())


async def smtp(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Mail with STARTTLS, and over TLS: aiosmtpd."""
    from aiosmtpd.handlers import Mailbox
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    context = make_context(certificate)
    handler = Mailbox(folder / "output")
    await loop.create_server(lambda: SMTP(handler, hostname="server.example", tls_context=context), HOST, port)
    await loop.create_server(lambda: SMTP(handler, hostname="server.example"), HOST, tls_port, ssl=context)
    await asyncio.Event().wait()


async def coap(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """CoAP over UDP and TCP: aiocoap's own server; it has no TLS here, so the second port serves TCP."""
    from aiocoap import Context, Message, resource
    from aiocoap.numbers.codes import CONTENT

    class Register(resource.Resource):
        content = b"nothing yet"

        async def render_get(self, request: Message) -> Message:
            return Message(code=CONTENT, payload=self.content)

        async def render_put(self, request: Message) -> Message:
            self.content = request.payload
            return Message(payload=b"changed")

    class Clock(resource.ObservableResource):
        count = last = 0

        def update_observation_count(self, newcount: int) -> None:
            if newcount:
                self.last = self.count + 3
                asyncio.get_running_loop().call_later(0.2, self.tick)

        def tick(self) -> None:
            self.count += 1
            self.updated_state()
            if self.count < self.last:
                asyncio.get_running_loop().call_later(0.2, self.tick)

        async def render_get(self, request: Message) -> Message:
            return Message(payload=b"%d" % self.count)

    def make_site() -> resource.Site:
        site = resource.Site()
        site.add_resource(["register"], Register())
        site.add_resource(["clock"], Clock())
        return site

    contexts = [
        await Context.create_server_context(make_site(), bind=(HOST, port), transports=["simplesocketserver"]),
        await Context.create_server_context(make_site(), bind=(HOST, tls_port), transports=["tcpserver"]),
        # Only a sign that the server is up: UDP has none.
        await asyncio.start_server(lambda reader, writer: writer.close(), HOST, port),
    ]
    await asyncio.Event().wait()
    del contexts


async def imap(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Mailboxes with STARTTLS: pymap; it has no port that begins with TLS, so a relay ends that in front of it."""

    program = Path(sys.executable).with_name("pymap")
    options = ["--cert", certificate, "--key", certificate, "--host", HOST, "--port", str(port)]
    backend = ["dict", "--demo-data", "--demo-user", USER, "--demo-password", PASSWORD]
    server = await asyncio.create_subprocess_exec(str(program), *options, *backend)
    await relay_to(port, tls_port, make_context(certificate))
    await server.wait()


def ftp(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Files: pyftpdlib."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    home = folder / "files"
    home.mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(home), perm="elradfmwMT")
    handler: Any = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    FTPServer((HOST, port), handler).serve_forever()


def xmlrpc(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Remote calls over HTTP and HTTPS."""
    from xmlrpc.server import SimpleXMLRPCServer

    for number, context in ((port, None), (tls_port, make_context(certificate))):
        server = SimpleXMLRPCServer((HOST, number), logRequests=False, allow_none=True, use_builtin_types=True)
        server.register_function(lambda value: value, "echo")
        server.register_multicall_functions()
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever).start()


async def kafka(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """The mock broker that librdkafka has for tests; it chooses its port, which a relay makes known."""
    from confluent_kafka.admin import AdminClient

    broker = AdminClient({"test.mock.num.brokers": 1})
    loop = asyncio.get_running_loop()
    metadata = await loop.run_in_executor(None, lambda: broker.list_topics(timeout=30))
    (member,) = metadata.brokers.values()
    await relay_to(member.port, port)
    await asyncio.Event().wait()
    broker.poll(0)


async def ssh(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """A command that echoes its name, and SFTP: asyncssh."""
    import asyncssh

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, PASSWORD)

    def answer(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write(f"you asked to {process.command}")
        process.exit(0)

    home = folder / "files"
    home.mkdir()
    await asyncssh.listen(
        HOST,
        port,
        server_factory=Server,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=answer,
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(home).encode()),
    )
    await asyncio.Event().wait()


async def grpc(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """A service of two calls whose messages are plain bytes: grpclib's own server."""
    from grpclib.const import Cardinality, Handler
    from grpclib.encoding.base import CodecBase
    from grpclib.server import Server

    class Plain(CodecBase):
        __content_subtype__ = "bytes"

        def encode(self, message: Any, message_type: Any) -> bytes:
            return bytes(message)

        def decode(self, data: bytes, message_type: Any) -> bytes:
            return data

    class Meter:
        async def reverse(self, stream: Any) -> None:
            await stream.send_message((await stream.recv_message())[::-1])

        async def echo(self, stream: Any) -> None:
            async for message in stream:
                await stream.send_message(message)

        def __mapping__(self) -> dict[str, Handler]:
            return {
                "/meter.Meter/Reverse": Handler(self.reverse, Cardinality.UNARY_UNARY, bytes, bytes),
                "/meter.Meter/Echo": Handler(self.echo, Cardinality.STREAM_STREAM, bytes, bytes),
            }

    context = make_context(certificate)
    context.set_alpn_protocols(["h2"])
    plain, secure = (Server([Meter()], codec=Plain()) for _ in range(2))
    await plain.start(HOST, port)
    await secure.start(HOST, tls_port, ssl=context)
    await asyncio.Event().wait()


async def opcua(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """OPC UA with a value that can be written and a method: asyncua's own server."""
    from asyncua import Server, uamethod

    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://{HOST}:{port}/")
    index = await server.register_namespace("http://meter.example")
    meter = await server.nodes.objects.add_object(index, "Meter")
    await (await meter.add_variable(index, "Reading", 17)).set_writable()
    double = uamethod(lambda _parent, value: value * 2)
    await meter.add_method(index, "double", double, [0], [0])
    async with server:
        await asyncio.Event().wait()


def aws(port: int, tls_port: int, certificate: str, folder: Path) -> None:
    """Amazon's services in memory: moto's own server, over HTTP and HTTPS."""
    # Else "server" of server.example would be taken for a bucket.
    os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = DomainDispatcherApplication(create_backend_app)
    for number, context in ((port, None), (tls_port, make_context(certificate))):
        server = make_server(HOST, number, application, threaded=True, ssl_context=context)
        threading.Thread(target=server.serve_forever).start()


async def relay_to(behind: int, port: int, context: ssl.SSLContext | None = None) -> None:
    """Carry TCP connections to ``port``, over TLS if there is a context, on to the port ``behind``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(HOST, behind)
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer))

    await asyncio.start_server(serve, HOST, port, ssl=context)


_ASYNC: dict[str, Callable[[int, int, str, Path], Awaitable[None]]] = {
    function.__name__: function for function in (echo, websockets, modbus, smtp, coap, imap, kafka, ssh, grpc, opcua)
}
_PLAIN: dict[str, Callable[[int, int, str, Path], None]] = {"ftp": ftp, "xmlrpc": xmlrpc, "aws": aws}


def main() -> None:
    """Serve until the process is ended."""
    kind, port, tls_port, certificate, folder = sys.argv[1:]
    arguments = (int(port), int(tls_port), certificate, Path(folder))
    if kind in _PLAIN:
        _PLAIN[kind](*arguments)
    else:

        async def run() -> None:
            await _ASYNC[kind](*arguments)

        asyncio.run(run())


if __name__ == "__main__":
    main()
