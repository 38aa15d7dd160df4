"""What a user would pick instead of nbsocket, each as its documentation says, with its best settings.

Every peer sends or receives a stream over one TCP connection, on a pseudo-terminal:

- programs written by hand with pyserial, which speak to the same simulator process in the modem's own commands;
- pyatcommand, a general client for AT commands, likewise;
- Adafruit's drivers for ESP-AT and for the SIM800, which speak only those modules' dialects, to a responder
  (``_responders.py``) that answers at once and needs no network, which is to their advantage;
- PPP with pppd, where the machine has it.

Peers that spend their time sleeping get less to carry, so that none needs more than some seconds; their rate does not
depend on it. One that cannot run raises :class:`Unavailable` with the reason.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import shutil
import sys
import time
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks._bench import HOST, Bench, Process
from benchmarks._servers import pattern

#: Most bytes of payload in one AT+QISEND with hex digits. BC260Y-CN TCP/IP guide 1.1 §2.3.5.
HEX_SEGMENT = 512

_RECV_RE = re.compile(rb'\+QIURC: "recv",\d,(\d+),"([0-9A-Fa-f]*)"')


class Unavailable(Exception):
    """The peer cannot run here; the text says why."""


@dataclass(frozen=True, slots=True)
class PeerTransfer:
    """What a peer's transfer came to."""

    #: Bytes of payload a second.
    rate: float
    payload: int
    seconds: float
    #: Processor seconds of this process.
    cpu: float


class Peer(ABC):
    """One alternative."""

    #: Short, for the table.
    name: str = ""
    #: What a reader should know.
    note: str = ""
    #: As tutorials or the library's documentation have it; False: by an expert, and close to the floor.
    is_usual = True
    #: It needs seconds, whatever it carries.
    is_slow = False
    #: Most bytes that it is given to send and to receive.
    max_up, max_down = 1 << 30, 1 << 30

    def up(self, bench: Bench, size: int) -> PeerTransfer:
        """Send ``size`` bytes or ``max_up``; ``bench`` is one without a baud rate.

        Raises:
            Unavailable: it cannot run here.
        """
        data = pattern(min(size, self.max_up))
        with self.connected(bench, "sink") as link:
            started, used = time.monotonic(), time.process_time()
            link.send(data)
            return _result(len(data), started, used)

    def down(self, bench: Bench, size: int) -> PeerTransfer:
        """Receive ``size`` bytes or ``max_down``; see :meth:`up`. The clock starts with the first of them."""
        size = min(size, self.max_down)
        with self.connected(bench, "source") as link:
            link.send(b"%d\n" % size)
            first = link.receive()
            started, used = time.monotonic(), time.process_time()
            got = bytearray(first)
            while len(got) < size:
                got += link.receive()
            result = _result(size - len(first), started, used)
        if bytes(got) != pattern(size):
            raise Unavailable("it received other bytes than were sent")
        return result

    @abstractmethod
    @contextmanager
    def connected(self, bench: Bench, server: str) -> Iterator[Link]:
        """Open the port and a connection to the ``"sink"`` or the ``"source"``."""
        yield Link()


def _result(size: int, started: float, used: float) -> PeerTransfer:
    seconds = time.monotonic() - started
    return PeerTransfer(size / seconds, size, seconds, time.process_time() - used)


class Link:
    """An open connection."""

    def send(self, data: bytes) -> None:
        """Return when the modem has taken all of it."""
        raise NotImplementedError

    def receive(self) -> bytes:
        """Wait for the next bytes."""
        raise NotImplementedError


def _load(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unavailable(f"{package} is not installed: pip install '.[bench]' ({error})") from None


def _digits(data: bytes, start: int) -> str:
    return data[start : start + HEX_SEGMENT].hex().upper()


# -- by hand, with pyserial


class _SerialLink(Link):
    """As tutorials have it: write a line, read lines until the one that is waited for."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def command(self, text: str, end: bytes) -> None:
        """Say a command and wait for the line that ends its answer."""
        self._port.write(text.encode() + b"\r")
        while self.read_line() != end:
            pass

    def read_line(self) -> bytes:
        """Return the next line, without its end."""
        while True:
            line: bytes = self._port.readline().strip()
            if line:
                return line

    def send(self, data: bytes) -> None:
        """See :class:`Link`."""
        for start in range(0, len(data), HEX_SEGMENT):
            digits = _digits(data, start)
            self.command(f'AT+QISEND=0,{len(digits) // 2},"{digits}"', b"SEND OK")

    def receive(self) -> bytes:
        """See :class:`Link`."""
        while True:
            match = _RECV_RE.match(self.read_line())
            if match is not None:
                return bytes.fromhex(match[2].decode())


class _BufferedLink(_SerialLink):
    """Reads whatever is there into a buffer of its own, and cuts lines from it."""

    _rest = b""

    def read_line(self) -> bytes:
        """See :class:`_SerialLink`."""
        while True:
            line, end, rest = self._rest.partition(b"\n")
            if not end:
                self._rest += self._port.read(max(1, self._port.in_waiting))
                continue
            self._rest = rest
            if line.strip():
                return line.strip()


class _SleepyLink(_BufferedLink):
    """Waits for the answer by sleeping, then reads what has come; ``time.sleep(0.1)`` is what most tutorials have."""

    def read_line(self) -> bytes:
        """See :class:`_SerialLink`."""
        while b"\n" not in self._rest.lstrip():
            time.sleep(0.1)
            self._rest += self._port.read(self._port.in_waiting)
        return super().read_line()


@dataclass(frozen=True)
class _ByHand(Peer):
    name: str = ""
    note: str = ""
    is_usual: bool = True
    is_slow: bool = False
    max_up: int = 1 << 30
    max_down: int = 1 << 30
    link: type[_SerialLink] = _SerialLink

    @contextmanager
    def connected(self, bench: Bench, server: str) -> Iterator[Link]:
        serial = _load("serial", "pyserial")
        with serial.Serial(bench.simulator.port, 115200, timeout=1) as port:
            port.reset_input_buffer()
            link = self.link(port)
            link.command("ATE0", b"OK")
            link.command('AT+QICFG="dataformat",1,1', b"OK")
            link.command(f'AT+QIOPEN=0,0,"TCP","{HOST}",{bench.servers.port("TCP", server)}', b"+QIOPEN: 0,0")
            yield link
            link.command("AT+QICLOSE=0", b"CLOSE OK")


# -- pyatcommand


class _ClientLink(Link):
    """It often loses the line that comes right behind an OK, such as SEND OK, so none is waited for."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def command(self, text: str) -> str:
        """Say a command and return the lines of its answer."""
        answer = self._client.send_command(text, timeout=5)
        if not answer.ok:
            raise Unavailable(f"the module refused {text[:40]!r}")
        return str(answer.info)

    def send(self, data: bytes) -> None:
        """See :class:`Link`."""
        for start in range(0, len(data), HEX_SEGMENT):
            digits = _digits(data, start)
            self.command(f'AT+QISEND=0,{len(digits) // 2},"{digits}"')

    def receive(self) -> bytes:
        """See :class:`Link`."""
        for _ in range(100):
            match = _RECV_RE.match((self._client.get_urc(timeout=0.1) or "").encode())
            if match is not None:
                return bytes.fromhex(match[2].decode())
        raise Unavailable("nothing came for 10 s")


class _PyAtCommand(Peer):
    name = "pyatcommand"
    note = "polls the port every 0.1 s; timeout=0, its fastest, and SEND OK is not waited for"
    is_slow = True
    max_up = 16 * HEX_SEGMENT
    max_down = 1 << 16

    @contextmanager
    def connected(self, bench: Bench, server: str) -> Iterator[Link]:
        module = _load("pyatcommand", "pyatcommand")
        logging.getLogger("pyatcommand").setLevel(logging.ERROR)
        client = module.AtClient(port=bench.simulator.port, baudrate=115200, timeout=0)
        client.connect(autobaud=False, retry_timeout=10, echo=False)
        try:
            link = _ClientLink(client)
            link.command('AT+QICFG="dataformat",1,1')
            link.command(f'AT+QIOPEN=0,0,"TCP","{HOST}",{bench.servers.port("TCP", server)}')
            deadline = time.monotonic() + 5
            while not link.command("AT+QISTATE=1,0").endswith(",2,0,1"):
                if time.monotonic() > deadline:
                    raise Unavailable("the connection did not open")
            yield link
        finally:
            client.send_command("AT+QICLOSE=0", timeout=5)
            time.sleep(0.2)  # CLOSE OK may be one of the lines that it loses
            client.disconnect()


# -- Adafruit's drivers


@contextmanager
def _circuit_python() -> Iterator[None]:
    """What the drivers import of CircuitPython, for a machine that is none of Blinka's boards."""

    class Pin:
        """A pin that leads nowhere."""

        value = False

        def switch_to_output(self) -> None:
            """It is one."""

    names: dict[str, dict[str, Any]] = {
        "micropython": {"const": lambda value: value},
        "digitalio": {"DigitalInOut": Pin, "Direction": types.SimpleNamespace(OUTPUT=1)},
        "busio": {"UART": object},
        "circuitpython_typing": {"ReadableBuffer": bytes},
        "simpleio": {"map_range": None},
    }
    saved = {name: sys.modules.get(name) for name in names}
    for name, values in names.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(values)
    try:
        yield
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class _EspLink(Link):
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def send(self, data: bytes) -> None:
        """See :class:`Link`."""
        for start in range(0, len(data), 2048):
            self._driver.socket_send(data[start : start + 2048])

    def receive(self) -> bytes:
        """See :class:`Link`."""
        data = bytes(self._driver.socket_receive(timeout=5))
        if not data:
            raise Unavailable("nothing came for 5 s")
        return data


class _Esp(Peer):
    name = "adafruit esp-atcontrol"
    note = "ESP-AT, to a responder; sleeps 0.1 s before each command"
    max_up = 16 * 2048
    max_down = 1 << 18

    @contextmanager
    def connected(self, bench: Bench, server: str) -> Iterator[Link]:
        serial = _load("serial", "pyserial")
        with _circuit_python():
            module = _load("adafruit_espatcontrol.adafruit_espatcontrol", "adafruit-circuitpython-esp-atcontrol")
        with (
            Process(["-m", "benchmarks._responders", "esp"]) as responder,
            serial.Serial(responder.hello["port"], 115200, timeout=1) as port,
        ):
            driver = module.ESP_ATcontrol(port, 115200)
            if not driver.socket_connect("TCP", HOST, 7):
                raise Unavailable("it could not connect to its responder")
            yield _EspLink(driver)
            driver.socket_disconnect()


class _FonaLink(Link):
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def send(self, data: bytes) -> None:
        """See :class:`Link`."""
        for start in range(0, len(data), 1460):
            if not self._driver.socket_write(0, data[start : start + 1460]):
                raise Unavailable("the responder did not take the data")

    def receive(self) -> bytes:
        """See :class:`Link`."""
        for _ in range(10):
            size = self._driver.socket_available(0)
            if size:
                data: bytes = self._driver.socket_read(0, min(size, 1460))
                return data
        raise Unavailable("nothing came")


class _Fona(Peer):
    name = "adafruit fona"
    note = "SIM800, to a responder; waits 0.5 s of silence before each command"
    is_slow = True
    max_up = 2 * 1460
    max_down = 3 * 1460

    @contextmanager
    def connected(self, bench: Bench, server: str) -> Iterator[Link]:
        serial = _load("serial", "pyserial")
        with _circuit_python():
            module = _load("adafruit_fona.adafruit_fona", "adafruit-circuitpython-fona")
            reset_pin = sys.modules["digitalio"].DigitalInOut()
        with (
            Process(["-m", "benchmarks._responders", "sim800"]) as responder,
            serial.Serial(responder.hello["port"], 115200, timeout=1) as port,
        ):
            driver = module.FONA(port, reset_pin)
            if not driver.socket_connect(0, HOST, 7):
                raise Unavailable("it could not connect to its responder")
            yield _FonaLink(driver)


# -- PPP


class _Ppp(Peer):
    name = "PPP (pppd)"
    note = "the operating system's own TCP/IP over the line"

    @contextmanager
    def connected(self, bench: Bench, server: str) -> Iterator[Link]:
        raise Unavailable(ppp_obstacle() or "not measured: a peer at the other end of the line is needed")
        yield Link()


def ppp_obstacle() -> str | None:
    """Return why pppd cannot run on this machine, None when it can."""
    obstacles: tuple[tuple[Callable[[], bool], str], ...] = (
        (lambda: sys.platform == "linux", "only Linux has pppd with /dev/ppp"),
        (lambda: shutil.which("pppd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None, "no pppd"),
        (lambda: os.path.exists("/dev/ppp"), "the kernel offers no /dev/ppp"),
        (lambda: os.geteuid() == 0, "pppd needs root to set an interface up"),
    )
    missing = [text for is_met, text in obstacles if not is_met()]
    return "not available here: " + ", ".join(missing) if missing else None


PEERS: tuple[Peer, ...] = (
    _ByHand("pyserial, readline", "a tutorial's loop without its sleeps: readline until SEND OK", max_down=1 << 17),
    _ByHand(
        "pyserial, sleep(0.1)",
        "a tutorial's loop: write, sleep, read what is there",
        is_slow=True,
        max_up=16 * HEX_SEGMENT,
        max_down=1 << 15,
        link=_SleepyLink,
    ),
    _PyAtCommand(),
    _Esp(),
    _Fona(),
    _Ppp(),
    _ByHand(
        "pyserial, in_waiting",
        "an expert's loop: one connection, no errors, no URC out of turn, all in a buffer of its own",
        is_usual=False,
        link=_BufferedLink,
    ),
)
