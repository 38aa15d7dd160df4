"""What the programs of ``_thrift_app`` speak to, on threads of this process, and a relay that notes what they say."""

from __future__ import annotations

import http.server
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import _thrift_app as app

#: All names that the programs use are below it.
DOMAIN = "meter.example"

#: Seconds of silence from the program after which the relay passes an answer on, so that all that the program says
#: without waiting for it comes first.
HOLD = 0.05

_ANSWER = b'{"status": "ok", "version": "1.4.2", "interval": 3600}'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    closes = False

    def do_GET(self) -> None:
        """Answer headers and body in one write."""
        closing = b"Connection: close\r\n" if self.closes else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
        self.wfile.write(head % (len(_ANSWER), closing) + _ANSWER)
        self.close_connection = self.closes

    def do_POST(self) -> None:
        """The same, after the body."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class _ClosingHandler(_Handler):
    closes = True


def _mqtt(sock: socket.socket) -> None:
    """The least of a broker: each packet's answer, one packet at a time. Source: MQTT 3.1.1."""
    while (packet := _read_packet(sock)) is not None:
        kind, body = packet
        if kind == 0x10:
            sock.sendall(b"\x20\x02\x00\x00")
        elif kind == 0x80:
            sock.sendall(b"\x90\x03" + body[:2] + b"\x01")
        elif kind == 0x30:
            (topic_size,) = struct.unpack_from(">H", body)
            sock.sendall(b"\x40\x02" + body[2 + topic_size : 4 + topic_size])
        elif kind == 0xE0:
            return


def _read_packet(sock: socket.socket) -> tuple[int, bytes] | None:
    head = sock.recv(2, socket.MSG_WAITALL)
    if len(head) < 2:
        return None
    assert head[1] < 128, "the packets here are short"
    return head[0] & 0xF0, sock.recv(head[1], socket.MSG_WAITALL) if head[1] else b""


def _sink(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def _listen(serve: Callable[[socket.socket], None]) -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def handle(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                serve(connection)
            except OSError:
                return  # the program has gone

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener, listener.getsockname()[1]


@dataclass
class Servers:
    """The real ports behind the ports that the programs use."""

    ca: str
    ports: dict[int, int] = field(default_factory=dict)
    #: Sizes of the datagrams that came, of both UDP services.
    datagrams: list[int] = field(default_factory=list)

    def _serve_datagrams(self, sock: socket.socket, is_echo: bool) -> None:
        while True:
            try:
                data, sender = sock.recvfrom(65536)
            except OSError:
                return
            self.datagrams.append(len(data))
            if is_echo:
                sock.sendto(data, sender)


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """All services; ``folder`` takes the certificates."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(f"*.{DOMAIN}").configure_cert(context)
    found = Servers(str(folder / "ca.pem"))
    with ExitStack() as stack:
        for port, serve in ((app.MQTT_PORT, _mqtt), (app.SINK_PORT, _sink)):
            listener, found.ports[port] = _listen(serve)
            stack.callback(listener.close)
        for port in (app.HTTP_PORT, app.HTTPS_PORT, app.CLOSING_PORT):
            handler = _ClosingHandler if port == app.CLOSING_PORT else _Handler
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a program that has gone is no news
            if port == app.HTTPS_PORT:
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            found.ports[port] = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            stack.callback(server.server_close)
        for port in (app.UDP_SINK_PORT, app.UDP_ECHO_PORT):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            found.ports[port] = sock.getsockname()[1]
            is_echo = port == app.UDP_ECHO_PORT
            threading.Thread(target=found._serve_datagrams, args=(sock, is_echo), daemon=True).start()
            stack.callback(sock.close)
        yield found


class Relay:
    """Stands between a program and a server, over TCP.

    A turn is what the program writes before it has to wait for an answer: whoever carries it may put it in one piece.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        #: Bytes of each turn of the program.
        self.turns: list[int] = []
        self._listener, self.port = _listen(self._serve)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _serve(self, near: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pass(near, far)

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        answer = b""
        is_new_turn = True
        watched = [near, far]
        while True:
            readable = select.select(watched, [], [], HOLD)[0]
            if near in readable:
                data = near.recv(65536)
                if not data:
                    return
                if is_new_turn:
                    self.turns.append(0)
                    is_new_turn = False
                self.turns[-1] += len(data)
                far.sendall(data)
            elif far in readable:
                data = far.recv(65536)
                answer += data
                if not data:
                    watched.remove(far)
            elif answer:
                near.sendall(answer)
                answer, is_new_turn = b"", True
            elif far not in watched:
                near.shutdown(socket.SHUT_WR)
                _sink(near)
                return
