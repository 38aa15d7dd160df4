"""Loopback servers in a process of their own: ``python -m benchmarks._servers``.

The first line on stdout is JSON: the port of each service. Then every line on stdin is a request, and every line on
stdout its answer; times are on ``time.monotonic``, which all processes of a machine share.

====== ============================================ ===================================================================
sink   reads everything, and notes when              TCP, UDP
echo   sends back what it reads                      TCP, UDP
source sends as many bytes as the text read says     TCP: ``65536\\n``; UDP: ``64x1024\\n``, 64 datagrams of 1024 bytes
====== ============================================ ===================================================================

``{"do": "reset"}`` forgets what the sinks have counted. ``{"do": "wait", "bytes": N}`` is answered when the sinks have
read that many bytes since, and ``{"do": "look"}`` at once, with :class:`Arrivals` of each connection.
"""

from __future__ import annotations

import dataclasses
import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

READ_SIZE = 262144

#: Room for a burst of datagrams that a paced line takes seconds for.
BUFFER_SIZE = 1 << 22


@dataclass(slots=True)
class Arrivals:
    """What one connection to a sink has brought."""

    first: float
    first_size: int
    last: float
    total: int


class Servers:
    """All services on one selector."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._arrivals: dict[Any, Arrivals] = {}
        self._total = 0
        self._wanted: int | None = None
        self._outgoing: dict[socket.socket, memoryview] = {}
        self._requests = b""
        self._is_over = False

    def run(self) -> None:
        """Serve until stdin ends."""
        ports = {}
        for name, tcp, udp in (
            ("sink", self._sink, self._sink_datagrams),
            ("echo", self._echo, self._echo_datagrams),
            ("source", self._source, self._source_datagrams),
        ):
            ports[f"tcp_{name}"] = self._listen(tcp)
            ports[f"udp_{name}"] = self._bind(udp)
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._request)
        self._answer(ports)
        while not self._is_over:
            for key, mask in self._selector.select():
                if mask & selectors.EVENT_WRITE:
                    self._flush(key.fileobj)
                if mask & selectors.EVENT_READ:
                    key.data(key.fileobj)

    def _listen(self, serve: Callable[[socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))

        def accept(_: socket.socket) -> None:
            connection, _address = listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ, serve)

        self._selector.register(listener, selectors.EVENT_READ, accept)
        return int(listener.getsockname()[1])

    def _bind(self, serve: Callable[[socket.socket], None]) -> int:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_SIZE)
        sock.bind(("127.0.0.1", 0))
        self._selector.register(sock, selectors.EVENT_READ, serve)
        return int(sock.getsockname()[1])

    # Requests.

    def _request(self, _: Any) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        self._is_over = not data
        *lines, self._requests = (self._requests + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            if request["do"] == "reset":
                self._arrivals.clear()
                self._total = 0
                self._wanted = None
                self._answer([])
            elif request["do"] == "look":
                self._tell()
            else:
                self._wanted = request["bytes"]
                self._look()

    def _look(self) -> None:
        if self._wanted is not None and self._total >= self._wanted:
            self._wanted = None
            self._tell()

    def _tell(self) -> None:
        self._answer([dataclasses.asdict(item) for item in self._arrivals.values()])

    @staticmethod
    def _answer(value: Any) -> None:
        print(json.dumps(value), flush=True)

    # Services.

    def _read(self, sock: socket.socket) -> bytes:
        try:
            data = sock.recv(READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(sock)
            self._outgoing.pop(sock, None)
            sock.close()
        return data

    def _sink(self, sock: socket.socket) -> None:
        data = self._read(sock)
        if data:
            self._count(sock, len(data))

    def _sink_datagrams(self, sock: socket.socket) -> None:
        data, sender = sock.recvfrom(READ_SIZE)
        self._count(sender, len(data))

    def _count(self, key: Any, size: int) -> None:
        now = time.monotonic()
        known = self._arrivals.get(key)
        if known is None:
            self._arrivals[key] = Arrivals(now, size, now, size)
        else:
            known.last = now
            known.total += size
        self._total += size
        self._look()

    def _echo(self, sock: socket.socket) -> None:
        data = self._read(sock)
        if data:
            self._send(sock, data)

    def _echo_datagrams(self, sock: socket.socket) -> None:
        data, sender = sock.recvfrom(READ_SIZE)
        sock.sendto(data, sender)

    def _source(self, sock: socket.socket) -> None:
        data = self._read(sock)
        if data:
            self._send(sock, pattern(int(data)))

    def _source_datagrams(self, sock: socket.socket) -> None:
        data, sender = sock.recvfrom(READ_SIZE)
        count, size = map(int, data.split(b"x"))
        payload = pattern(size)
        for _ in range(count):
            sock.sendto(payload, sender)

    def _send(self, sock: socket.socket, data: bytes) -> None:
        self._outgoing[sock] = memoryview(bytes(self._outgoing.get(sock, b"")) + data)
        self._flush(sock)

    def _flush(self, sock: Any) -> None:
        waiting = self._outgoing.pop(sock, None)
        if waiting is None:
            return
        try:
            waiting = waiting[sock.send(waiting) :]
        except BlockingIOError:
            pass
        except OSError:
            return  # reading tells that the peer is gone
        serve = self._selector.get_key(sock).data
        if waiting:
            self._outgoing[sock] = waiting
            self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, serve)
        else:
            self._selector.modify(sock, selectors.EVENT_READ, serve)


def pattern(size: int) -> bytes:
    """Return ``size`` bytes in which every value comes, like data that was compressed."""
    block = bytes((index * 167 + (index >> 8) * 13) & 0xFF for index in range(4096))
    return (block * (size // 4096 + 1))[:size]


if __name__ == "__main__":
    Servers().run()
