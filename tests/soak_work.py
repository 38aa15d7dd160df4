"""What ``tests.soak`` does over the modem: real libraries and plain sockets, each of whose answers is checked."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import paho.mqtt.client as mqtt
import requests
from paho.mqtt.enums import CallbackAPIVersion

import nbsocket
from tests.helpers import pattern, receive_exactly

FAR = "server.example"

#: Seconds that one call of a plain socket may take, and how much later it may return on a busy machine.
CALL_TIMEOUT, LATENESS = 30.0, 5.0

#: Seconds for an answer to a datagram.
ANSWER_TIMEOUT = 5.0

#: Datagrams that the server remembers, to see that none comes twice.
MEMORY_OF_DATAGRAMS = 500


@dataclass
class Tally:
    """What all threads count; each field is only added to."""

    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    #: What the first failure of a kind said.
    said: dict[str, str] = field(default_factory=dict)
    bytes_up: Counter[str] = field(default_factory=Counter)
    bytes_down: Counter[str] = field(default_factory=Counter)
    #: Seconds of the longest work of a kind that succeeded.
    longest: dict[str, float] = field(default_factory=dict)
    datagrams_lost: int = 0
    violations: list[str] = field(default_factory=list)


@contextmanager
def on_time(what: str, seconds: float) -> Iterator[None]:
    """Demand that the block ends, one way or the other, at its deadline."""
    began = time.monotonic()
    try:
        yield
    finally:
        took = time.monotonic() - began
        assert took <= seconds + LATENESS, f"{what} took {took:.1f} s of {seconds:g} s"


def shown(messages: list[bytes]) -> str:
    """Tell the numbers that messages begin with."""
    return " ".join(message[:2].decode("latin-1").strip() for message in messages)


def numbers_of(connection: int) -> tuple[int, int]:
    """Return the seeds of what either side of a plain connection says."""
    return 2 * connection, 2 * connection + 1


class StreamServer:
    """The other end of the plain TCP connections: says its own pattern, and checks what it is told as it comes."""

    def __init__(self, tally: Tally) -> None:
        """Listen on loopback."""
        self._tally = tally
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="stream server", daemon=True).start()

    def __enter__(self) -> StreamServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                # Longer than anything the client waits for: a module that restarted tells its peers nothing.
                connection.settimeout(3 * CALL_TIMEOUT)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            number, size = map(int, receive_exactly(connection, 16).split())
            up, down = (pattern(size, seed) for seed in numbers_of(number))
            writer = threading.Thread(target=self._say, args=(connection, down), daemon=True)
            writer.start()
            got = 0
            while got < size and (data := connection.recv(65536)):
                if up[got : got + len(data)] != data:
                    self._tally.violations.append(f"stream {number}: the peer got no prefix, from byte {got} on")
                    return
                got += len(data)
            writer.join()

    @staticmethod
    def _say(connection: socket.socket, data: bytes) -> None:
        with suppress(OSError):
            connection.sendall(data)


class DatagramLog:
    """What the UDP server was told: nothing may come twice or changed."""

    def __init__(self, tally: Tally) -> None:
        """Begin with nothing."""
        self._tally = tally
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def answer(self, data: bytes) -> bytes:
        """Note a datagram, whose first half tells the digest of the second, and answer it."""
        digest = hashlib.sha256(data).digest()
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            self._tally.violations.append(f"the server got a datagram of {len(data)} bytes that nobody sent")
        if digest in self._seen:
            self._tally.violations.append("the server got a datagram twice")
        self._seen[digest] = None
        while len(self._seen) > MEMORY_OF_DATAGRAMS:
            self._seen.popitem(last=False)
        return digest + data


class Work:
    """The kinds of work; each call does one of them and raises AssertionError where the promise is broken."""

    def __init__(self, tally: Tally, ca: Path, ports: dict[str, int], seed: int) -> None:
        """Note where the servers are."""
        self._tally, self._ca, self._ports = tally, ca, ports
        self._dice = Random(seed)
        self._numbers = iter(range(1, 100_000_000))

    def kinds(self) -> dict[str, Callable[[], None]]:
        """Return them by name."""
        return {"mqtt": self.publish, "https": self.request, "udp": self.telemeter, "tcp": self.stream}

    def _count(self, kind: str, up: int, down: int) -> None:
        self._tally.bytes_up[kind] += up
        self._tally.bytes_down[kind] += down

    def publish(self) -> None:
        """One session with the broker: subscribe, publish to oneself, compare, leave; paho connects again by itself."""
        topic, size = f"soak/{os.urandom(4).hex()}", self._dice.choice((1, 100, 3000))
        payloads = [b"%d " % number + os.urandom(size) for number in range(5)]
        arrived, subscribed = threading.Event(), threading.Event()
        got: list[bytes] = []

        def on_message(client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
            if bytes(message.payload) not in got:  # with QoS 1 it may come again after a reconnect
                got.append(bytes(message.payload))
                arrived.set()

        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = on_message
        client.on_connect = lambda client, *arguments: client.subscribe(topic, qos=1)
        client.on_subscribe = lambda *arguments: subscribed.set()
        client.reconnect_delay_set(1, 2)
        client.connect(FAR, self._ports["mqtt"], keepalive=20)
        client.loop_start()
        try:
            if not subscribed.wait(CALL_TIMEOUT):
                raise TimeoutError("not subscribed")
            for payload in payloads:
                arrived.clear()
                client.publish(topic, payload, qos=1)
                if not arrived.wait(CALL_TIMEOUT):
                    raise TimeoutError("not published")
            assert got == payloads, f"other messages than were published, or in another order: {shown(got)}"
            self._count("mqtt", sum(map(len, payloads)), sum(map(len, got)))
        finally:
            client.disconnect()
            client.loop_stop()

    def request(self) -> None:
        """One HTTPS request, checked by TLS, whose body comes back."""
        body = os.urandom(self._dice.choice((1, 1000, 20_000)))
        url = f"https://{FAR}:{self._ports['https']}/echo"
        response = requests.post(url, body, verify=str(self._ca), timeout=CALL_TIMEOUT)
        assert response.ok and response.content == body, "another answer than was asked for"
        self._count("https", len(body), len(body))

    def telemeter(self) -> None:
        """Some datagrams over one socket: each answer belongs to one of them, and comes once."""
        waiting: set[bytes] = set()
        with nbsocket.socket(nbsocket.AF_INET, nbsocket.SOCK_DGRAM) as sock:
            sock.settimeout(ANSWER_TIMEOUT)
            sock.connect((FAR, self._ports["udp"]))
            for _ in range(4):
                body = os.urandom(self._dice.choice((16, 60, 400)))
                data = hashlib.sha256(body).digest() + body
                waiting.add(hashlib.sha256(data).digest() + data)
                sock.send(data)
                try:
                    with on_time("recv of a datagram", ANSWER_TIMEOUT):
                        answer = sock.recv(2000)
                except TimeoutError:
                    self._tally.datagrams_lost += 1
                    raise
                assert answer in waiting, "a datagram that nobody sent, or twice"
                waiting.remove(answer)
                self._count("udp", len(data), len(answer))

    def stream(self) -> None:
        """One plain TCP connection that carries patterns both ways: a prefix at both ends, and never a silent gap."""
        number, size = next(self._numbers), self._dice.choice((10, 3000, 20_000))
        up, down = (pattern(size, seed) for seed in numbers_of(number))
        got = bytearray()
        failure = self._converse(b"%8d %7d" % (number, size), up, got)
        assert down[: len(got)] == got, f"stream {number}: no prefix"
        self._count("tcp", size if failure is None else 0, len(got))
        if failure is not None:
            raise failure
        assert len(got) == size, f"stream {number}: {len(got)} of {size} bytes and no error"

    def _converse(self, head: bytes, up: bytes, got: bytearray) -> OSError | None:
        failures: list[OSError] = []

        def write() -> None:
            try:
                sock.sendall(up)
            except OSError as error:
                failures.append(error)

        with nbsocket.socket() as sock:
            sock.settimeout(CALL_TIMEOUT)
            try:
                with on_time("connect", CALL_TIMEOUT):
                    sock.connect((FAR, self._ports["tcp"]))
                sock.sendall(head)
            except OSError as error:
                return error
            writer = threading.Thread(target=write, daemon=True)
            writer.start()
            try:
                while True:
                    with on_time("recv", CALL_TIMEOUT):
                        data = sock.recv(65536)
                    if not data:
                        break
                    got += data
            except OSError as error:
                failures.append(error)
            with on_time("sendall", CALL_TIMEOUT):
                writer.join(CALL_TIMEOUT + 2 * LATENESS)
        return failures[0] if failures else None

    def use_every_socket(self) -> None:
        """All five of the module's sockets at once: none may have been lost."""
        with ExitStack() as stack:
            socks = [stack.enter_context(nbsocket.socket()) for _ in range(5)]
            for sock in socks:
                sock.settimeout(CALL_TIMEOUT)
                sock.connect((FAR, self._ports["tcp"]))
            for sock in socks:
                number = next(self._numbers)
                up, down = (pattern(10, seed) for seed in numbers_of(number))
                sock.sendall(b"%8d %7d" % (number, 10) + up)
                assert receive_exactly(sock, 10) == down
