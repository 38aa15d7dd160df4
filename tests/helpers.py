"""Servers on loopback, and small things that several test files use."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from nbsocket._engine._log import is_idle
from nbsocket._runtime._stdlib import GenuineSocket

#: Longest that anything in a test may take; nothing waits for it when all is well.
PATIENCE = 20.0

EVERY_BYTE = bytes(range(256))

#: Payloads that look like the modem's own traffic.
AT_LOOKALIKES = (
    b'\r\n+QIURC: "closed",0\r\n',
    b'\r\n+QIURC: "recv",0,4,"AAAA"\r\n',
    b"\r\nOK\r\n",
    b"\r\nSEND OK\r\n",
    b"\r\nERROR\r\n+CME ERROR: 50\r\n",
    b"\r\n> ",
    b">",
    b"\x1a",
    b"\x1b",
    b'"',
    b'""\r\n"',
    b"AT+QICLOSE=0\r",
    b"\r\nRDY\r\n",
    b"\0",
)

Handler = Callable[[socket.socket], None]


def sim_url(**options: Any) -> str:
    """Return the URL of a simulated module in this process."""
    pairs: list[tuple[str, str]] = []
    for name, value in options.items():
        if isinstance(value, dict):
            pairs += [({"hosts": "host"}.get(name, name), f"{key}={target}") for key, target in value.items()]
        else:
            pairs.append((name, str(value)))
    return "sim://" + ("?" + urlencode(pairs) if pairs else "")


def genuine(family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> Any:
    """Return a socket of the operating system, whatever is patched."""
    return GenuineSocket(family, kind)


class TcpServer:
    """A server on 127.0.0.1 with the operating system's own sockets; each connection gets a thread of ``handler``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._connections: list[socket.socket] = []
        self.failures: list[BaseException] = []
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._handler(connection)
        except OSError:
            pass  # the client went away: what it saw is what the test looks at
        except BaseException as error:
            self.failures.append(error)

    def close(self) -> None:
        """Stop, and raise what a handler raised."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE)
        if self.failures:
            raise self.failures[0]


@contextmanager
def tcp_server(handler: Handler) -> Iterator[int]:
    """Serve for the length of the block; gives the port."""
    server = TcpServer(handler)
    try:
        yield server.port
    finally:
        server.close()


def echo(connection: socket.socket) -> None:
    """Send everything back, until the client ends."""
    while data := connection.recv(65536):
        connection.sendall(data)


@contextmanager
def udp_server(answer: Callable[[bytes], bytes | None] = lambda data: data) -> Iterator[int]:
    """Answer datagrams on 127.0.0.1 for the length of the block; gives the port."""
    server = genuine(kind=socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    stop, stopper = os.pipe()

    def serve() -> None:
        while stop not in select.select([server, stop], [], [])[0]:
            data, client = server.recvfrom(65536)
            reply = answer(data)
            if reply is not None:
                server.sendto(reply, client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        os.write(stopper, b".")
        thread.join(PATIENCE)
        os.close(stop)
        os.close(stopper)
        server.close()


def unused_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def receive_exactly(sock: Any, size: int) -> bytes:
    """Read ``size`` bytes, or fewer at the end of the stream."""
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


def receive_all(sock: Any) -> bytes:
    """Read up to the end of the stream."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def pattern(size: int, seed: int = 0) -> bytes:
    """Return ``size`` bytes that depend on position and seed, with every byte value among them."""
    blocks = (hashlib.sha256(b"%d %d" % (seed, number)).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def run_isolated(script: str, *arguments: str, timeout: float = 60.0, **environment: str) -> str:
    """Run ``tests/isolated/<script>`` in a fresh interpreter and return what it printed; its failure fails the test."""
    path = Path(__file__).parent / "isolated" / script
    home = str(Path(__file__).parents[1])
    variables = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (home, variables.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", str(path), *arguments],
        env=variables | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def logs_delivered() -> None:
    """Wait until the handlers of logging have got what the modem's threads have said so far."""
    deadline = time.monotonic() + PATIENCE
    while not is_idle():
        assert time.monotonic() < deadline, "a handler of logging does not return"
        time.sleep(0.001)
