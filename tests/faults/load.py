"""Connections that carry data both ways all the time, and the promise that holds for each whatever happens to them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import nbsocket
from nbsocket import Modem
from tests.helpers import PATIENCE, TcpServer, pattern, receive_exactly

FAR = "198.51.100.7"

#: What each side of each connection would say if nothing stopped it.
SIZE = 8_000_000

_NOISE = pattern(100_003) * (SIZE // 100_003 + 1)


def words_of(number: int) -> memoryview:
    """Return what one side says; even numbers are the applications', odd ones the peers'."""
    return memoryview(_NOISE)[number * 7919 :][:SIZE]


def wait_until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """For what happens on another thread and tells nobody; looks again at every chance."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.002)


@dataclass(eq=False)
class Connection:
    """One connection: what each end got, and how the application's reading ended."""

    number: int
    sock: socket.socket
    got: bytearray = field(default_factory=bytearray)
    peer_got: bytearray = field(default_factory=bytearray)
    #: None: an orderly end of file.
    ending: OSError | None = None
    #: The test closed it: its application knows.
    was_closed: bool = False
    threads: list[threading.Thread] = field(default_factory=list)

    def run(self) -> None:
        """Write and read on two threads until it ends."""
        for target in (self._write, self._read):
            self.threads.append(threading.Thread(target=target, daemon=True))
            self.threads[-1].start()

    def _write(self) -> None:
        with suppress(OSError):
            self.sock.sendall(words_of(2 * self.number))

    def _read(self) -> None:
        try:
            while data := self.sock.recv(65536):
                self.got += data
        except OSError as error:
            self.ending = error

    @property
    def is_moving(self) -> bool:
        """Whether both directions have carried something."""
        return len(self.got) > 10_000 and len(self.peer_got) > 10_000

    @property
    def is_over(self) -> bool:
        """Whether the application has been told of the end."""
        return not any(thread.is_alive() for thread in self.threads)

    def check(self) -> None:
        """Demand prefixes at both ends, and an error where the application's is cut short."""
        assert words_of(2 * self.number + 1)[: len(self.got)] == self.got
        assert words_of(2 * self.number)[: len(self.peer_got)] == self.peer_got
        assert len(self.got) == SIZE or self.ending is not None or self.was_closed, "cut short without an error"


class Load:
    """Several connections under load."""

    def __init__(self, modem: Modem, count: int = 4) -> None:
        """Connect them all and let them run."""
        self.modem = modem
        self.connections: dict[int, Connection] = {}
        self._server = TcpServer(self._serve)
        self.port = self._server.port
        for number in range(count):
            sock = connect(modem, self.port)
            self.connections[number] = Connection(number, sock)
            sock.sendall(b"%4d" % number)
            self.connections[number].run()

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.connections.values())

    def __getitem__(self, number: int) -> Connection:
        return self.connections[number]

    def _serve(self, sock: socket.socket) -> None:
        number = int(receive_exactly(sock, 4) or -1)
        if number < 0:
            return
        if number == 9999:
            sock.sendall(sock.recv(100))
            return
        connection = self.connections[number]
        writer = threading.Thread(target=self._write, args=(sock, number), daemon=True)
        writer.start()
        while data := sock.recv(65536):
            connection.peer_got += data
        writer.join(PATIENCE)

    @staticmethod
    def _write(sock: socket.socket, number: int) -> None:
        with suppress(OSError):
            sock.sendall(words_of(2 * number + 1))

    def wait_moving(self) -> None:
        """Return when every connection has carried data both ways."""
        wait_until(lambda: all(connection.is_moving for connection in self))

    def wait_over(self, patience: float = PATIENCE) -> None:
        """Return when every application was told; nothing may hang."""
        wait_until(lambda: all(connection.is_over for connection in self), patience)

    def check(self) -> None:
        """Demand the promise of every connection."""
        for connection in self:
            connection.check()

    def try_again(self) -> None:
        """Demand that a new connection works; the first try may still meet the fault."""
        for tries in range(3):
            try:
                with connect(self.modem, self.port) as sock:
                    sock.sendall(b"9999again")
                    assert receive_exactly(sock, 5) == b"again"
                return
            except OSError:
                if tries == 2:
                    raise

    def close(self) -> None:
        """Close what is left."""
        for connection in self:
            connection.was_closed = not connection.is_over
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.sock.close()
        self._server.close()


def connect(modem: Modem, port: int, timeout: float = PATIENCE) -> nbsocket.socket:
    """Return a socket connected over the modem."""
    sock = nbsocket.socket(modem=modem)
    sock.settimeout(timeout)
    try:
        sock.connect((FAR, port))
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def load(modem: Modem, count: int = 4) -> Iterator[Load]:
    """Connections under load for the length of the block."""
    busy = Load(modem, count)
    try:
        busy.wait_moving()
        yield busy
    finally:
        busy.close()
