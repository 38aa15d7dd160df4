"""The tests: each says in its name what must hold, and returns what it measured as one line.

They run in the virtual machine as root, with no network of its own: the far side of every connection is an echo server
behind the simulated module.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import nbsocket
from nbsocket import Modem
from nbsocket._port._tty import read_rate

UART, USB, ABSENT = "/dev/ttyS1", "/dev/ttyUSB0", "/dev/ttyS3"
#: A link as udev makes it, named by what is plugged in.
LINK = "/dev/serial/by-id/usb-QEMU_USB_SERIAL-if00-port0"
PORTS = {"uart": UART, "usb": LINK}

#: An address beyond the module; the simulated one leads to the host's echo server.
FAR = "198.51.100.7"

SIZE = 20_000
PATIENCE = 60.0

TIOCVHANGUP = 0x5437  # asm-generic/ioctls.h
NOBODY = 65534

Format = Any


class HostLike(Protocol):
    """See :class:`compat_tests.machine.guest.Host`."""

    def ask(self, name: str, **arguments: Any) -> Any:
        """Have the host do something."""


class Bench:
    """What the tests use: the host, the ports and the echo server."""

    def __init__(self, host: HostLike, echo_port: int) -> None:
        self.host = host
        self.echo_port = echo_port
        self.is_plugged = False

    def prepare(self) -> None:
        """Before each test: a fresh module at 115200 behind each port, the adapter plugged in and named ttyUSB0."""
        for port in PORTS:
            self.module(port)
        if not self.is_plugged:
            self.plug()

    def module(self, port: str, **options: Any) -> None:
        """Put a fresh module with these simulator options behind a port."""
        self.host.ask("module", port=port, options=options)

    def gate(self, port: str, **state: bool) -> None:
        """Make the far end silent, or let it stop taking bytes."""
        self.host.ask("gate", port=port, state=state)

    def commands(self, port: str) -> list[str]:
        """The AT commands that the module behind a port has got."""
        return list(self.host.ask("commands", port=port))

    def plug(self) -> str:
        """Plug the adapter in and return its device, to which the link leads then."""
        before = _usb_devices()
        self.host.ask("plug")
        self.is_plugged = True
        device = f"/dev/{_wait(lambda: _usb_devices() - before, 'an adapter').pop()}"
        os.makedirs(os.path.dirname(LINK), exist_ok=True)
        os.chmod(device, 0o666)
        with suppress(FileNotFoundError):
            os.unlink(LINK)
        os.symlink(device, LINK)
        return device

    def unplug(self) -> None:
        """Pull the adapter out; the link goes, as udev removes it."""
        self.host.ask("unplug")
        self.is_plugged = False
        with suppress(FileNotFoundError):
            os.unlink(LINK)


@dataclass(frozen=True, slots=True)
class Test:
    """One row of the table."""

    name: str
    run: Callable[[Bench], str]


TESTS: list[Test] = []


def test(name: str, *ports: str) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Enter a function into the table, once a port."""

    def enter(function: Callable[..., str]) -> Callable[..., str]:
        for port in ports:
            TESTS.append(Test(f"{port}: {name}", lambda bench, port=port: function(bench, port)))  # type: ignore[misc]
        return function

    return enter


def _usb_devices() -> set[str]:
    return {name for name in os.listdir("/dev") if name.startswith("ttyUSB")}


def _wait(condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)
    return found


def _command(*words: str) -> tuple[int, str, str]:
    done = subprocess.run((sys.executable, "-m", "nbsocket", *words), capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def _connect(bench: Bench, modem: Modem) -> socket.socket:
    sock = nbsocket.socket(modem=modem)
    sock.settimeout(PATIENCE)
    sock.connect((FAR, bench.echo_port))
    return sock


def _pattern(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def _echo(bench: Bench, modem: Modem, size: int) -> float:
    """Send and get back ``size`` bytes; return how long it took."""
    data, got = _pattern(size), bytearray()
    with _connect(bench, modem) as sock:
        began = time.monotonic()
        writer = threading.Thread(target=sock.sendall, args=(data,))
        writer.start()
        while len(got) < size and (piece := sock.recv(65536)):
            got += piece
        writer.join(PATIENCE)
        took = time.monotonic() - began
    assert bytes(got) == data, f"{len(got)} bytes came back, or others than went out"
    return took


@contextmanager
def _endless_echo(bench: Bench, modem: Modem) -> Iterator[list[Any]]:
    """A transfer in both directions; gives a list into which it puts how it ended: an exception, or b""."""
    ending: list[Any] = []
    sock = _connect(bench, modem)
    is_over = threading.Event()
    first = threading.Event()

    def write() -> None:
        with suppress(OSError):
            while not is_over.is_set():
                sock.sendall(_pattern(1024))

    def read() -> None:
        position = 0
        try:
            while data := sock.recv(65536):
                wanted = _pattern(position + len(data))[position:] if position < 1 << 20 else data
                if data != wanted:
                    ending.append(AssertionError("other bytes came back than went out"))
                    return
                position += len(data)
                first.set()
            ending.append(b"")
        except OSError as error:
            ending.append(error)

    threads = [threading.Thread(target=write, daemon=True), threading.Thread(target=read, daemon=True)]
    for thread in threads:
        thread.start()
    assert first.wait(PATIENCE), "nothing came back"
    try:
        yield ending
    finally:
        is_over.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(PATIENCE)
        sock.close()


def _time_to_reset(ending: list[Any], began: float) -> float:
    _wait(lambda: ending, "the end of the connection")
    assert isinstance(ending[0], ConnectionResetError), f"it ended by {ending[0]!r}"
    return time.monotonic() - began


# -- finding the module


@test("info tells the module and the rate", "uart", "usb")
def _info(bench: Bench, port: str) -> str:
    code, output, errors = _command("--json", "--port", PORTS[port], "info")
    assert code == 0, errors
    value = json.loads(output)
    assert value["baudrate"] == 115200 and value["imei"], value
    return f"{value['model']} at {value['baudrate']} baud"


def _search(bench: Bench, port: str, rates: tuple[int, ...]) -> str:
    figures = []
    for rate in rates:
        bench.module(port, baudrate=rate)
        began = time.monotonic()
        with Modem(PORTS[port]) as modem:
            assert modem.settings().baudrate == rate
        figures.append(f"{rate} in {time.monotonic() - began:.1f} s")
    return ", ".join(figures)


@test("the rate is searched for", "uart")
def _search_uart(bench: Bench, port: str) -> str:
    return _search(bench, port, (115200, 9600, 57600, 2400))


@test("the rate is searched for", "usb")
def _search_usb(bench: Bench, port: str) -> str:
    return _search(bench, port, (115200, 9600, 57600, 460800))


# -- carrying


def _echo_of(data_format: Format) -> Callable[[Bench, str], str]:
    def run(bench: Bench, port: str) -> str:
        with Modem(PORTS[port], data_format=data_format) as modem:
            took = _echo(bench, modem, SIZE)
        return f"{took:.1f} s, {SIZE / took / 1000:.2f} KB/s each way"

    return run


test("20 KB there and back, hex", "uart", "usb")(_echo_of("hex"))
test("20 KB there and back, raw", "uart", "usb")(_echo_of("raw"))


@test("wake-ups per KB", "uart", "usb")
def _wakeups(bench: Bench, port: str) -> str:
    with Modem(PORTS[port]) as modem:
        modem.wait_attached()
        before = modem.stats()
        _echo(bench, modem, SIZE)
        after = modem.stats()
    kilobytes = (after.bytes_up + after.bytes_down - before.bytes_up - before.bytes_down) / 1000
    return f"{(after.wakeups - before.wakeups) / kilobytes:.1f} a KB on the line"


# -- one process a port


@test("a second process is told who has the port, root or not", "uart", "usb")
def _second_process(bench: Bench, port: str) -> str:
    os.chmod(os.path.realpath(PORTS[port]), 0o666)
    words = (sys.executable, "-m", "nbsocket", "--port", PORTS[port], "info")
    with Modem(PORTS[port]) as modem:
        modem.info()
        for user in (0, NOBODY):
            done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, user=user)
            assert done.returncode == 4, (user, done.returncode, done.stderr)
            assert f"is in use by PID {os.getpid()}" in done.stderr or user, done.stderr
        # A program that looks at no lock, as a shell's redirection: root alone may pass TIOCEXCL.
        opened = subprocess.run(("sh", "-c", f"exec 3<>{PORTS[port]}"), capture_output=True, text=True, user=NOBODY)
        assert opened.returncode != 0 and "busy" in opened.stderr, opened
        assert modem.command("AT") == []
    return "exit code 4 for both; whoever looks at no lock gets EBUSY"


# -- what goes wrong


@test("pulled out in mid-transfer, back under the same name", "usb")
def _back_under_the_same_name(bench: Bench, port: str) -> str:
    with Modem(LINK) as modem:
        with _endless_echo(bench, modem) as ending:
            began = time.monotonic()
            bench.unplug()
            reset = _time_to_reset(ending, began)
        assert bench.plug() == USB
        began = time.monotonic()
        _again(bench, modem)
    return f"reset after {reset:.2f} s, at work {time.monotonic() - began:.1f} s after it came back"


@test("pulled out in mid-transfer, back under another name", "usb")
def _back_under_another_name(bench: Bench, port: str) -> str:
    with Modem(LINK) as modem:
        with _endless_echo(bench, modem) as ending:
            held = os.open(USB, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)  # its number stays taken
            began = time.monotonic()
            bench.unplug()
            reset = _time_to_reset(ending, began)
        device = bench.plug()
        assert device != USB, device
        began = time.monotonic()
        _again(bench, modem)
        took = time.monotonic() - began
    os.close(held)
    bench.unplug()  # the next test finds it under its usual name
    _wait(lambda: not _usb_devices(), "the end of the adapter")
    return f"reset after {reset:.2f} s, {os.path.basename(device)} at work after {took:.1f} s"


def _again(bench: Bench, modem: Modem) -> None:
    """The next operation works, within the time in which opening is tried again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            _echo(bench, modem, 1000)
            return
        except OSError:
            assert time.monotonic() < deadline, "it does not work again"
            time.sleep(0.1)


@test("TIOCVHANGUP in mid-transfer", "uart", "usb")
def _hang_up(bench: Bench, port: str) -> str:
    with Modem(PORTS[port]) as modem:
        with _endless_echo(bench, modem) as ending:
            other = os.open(PORTS[port], os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)  # root may, in spite of TIOCEXCL
            began = time.monotonic()
            fcntl.ioctl(other, TIOCVHANGUP)
            reset = _time_to_reset(ending, began)
            os.close(other)
        began = time.monotonic()
        _again(bench, modem)
    return f"reset after {reset:.2f} s, at work after {time.monotonic() - began:.1f} s"


@test("a far end that falls silent", "uart", "usb")
def _silence(bench: Bench, port: str) -> str:
    with Modem(PORTS[port]) as modem:
        modem.info()
        bench.gate(port, is_silent=True)
        began = time.monotonic()
        try:
            modem.command("AT+CSQ", 3.0)
        except OSError as error:
            assert error.errno in (errno.ETIMEDOUT, errno.ENODEV), error
        else:
            raise AssertionError("somebody answered")
        told = time.monotonic() - began
        assert told < 5.0, f"told after {told:.1f} s"
        bench.gate(port, is_silent=False)
        began = time.monotonic()
        _again(bench, modem)
    return f"told after {told:.1f} s, at work {time.monotonic() - began:.1f} s after it speaks again"


@test("breaks, received and sent", "uart", "usb")
def _breaks(bench: Bench, port: str) -> str:
    with Modem(PORTS[port]) as modem:
        with _endless_echo(bench, modem) as ending:
            for _ in range(5):
                bench.host.ask("break", port=port)
                time.sleep(0.2)
            outcome = ending[0] if ending else "went on"
            assert outcome == "went on" or isinstance(outcome, ConnectionResetError), outcome
        other = os.open(PORTS[port], os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        termios.tcsendbreak(other, 0)
        os.close(other)
        _again(bench, modem)
    return "the transfer went on" if outcome == "went on" else "the connection was reset, the next one works"


@test("leftover settings of the terminal", "uart", "usb")
def _leftovers(bench: Bench, port: str) -> str:
    fd = os.open(PORTS[port], os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    attributes = termios.tcgetattr(fd)
    attributes[0] |= termios.ICRNL | termios.IXON | termios.IXOFF | termios.ISTRIP | termios.BRKINT
    attributes[1] |= termios.OPOST | termios.ONLCR
    attributes[2] &= ~termios.CSIZE
    attributes[2] |= termios.CS7 | termios.PARENB | termios.CSTOPB | termios.CRTSCTS
    attributes[3] |= termios.ECHO | termios.ICANON | termios.ISIG
    attributes[4] = attributes[5] = termios.B1200
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
    os.close(fd)
    for data_format in ("hex", "raw"):
        with Modem(PORTS[port], data_format=data_format) as modem:
            _echo(bench, modem, 1024)
    return "every byte, hex and raw"


@test("close while the far end takes nothing", "uart")
def _no_drain(bench: Bench, port: str) -> str:
    modem = Modem(PORTS[port])
    sock = _connect(bench, modem)
    bench.gate(port, is_stalled=True)
    took = _time_to_close(modem, sock)
    bench.gate(port, is_stalled=False)
    began = time.monotonic()
    with modem:
        _again(bench, modem)
    return f"close(1.0) took {took:.1f} s, at work {time.monotonic() - began:.1f} s later"


@test("close while output drains at 2400 baud", "uart")
def _slow_drain(bench: Bench, port: str) -> str:
    """The kernel's own close() waits for what it still has to send, up to 30 s (closing_wait of setserial(8))."""
    bench.module(port, baudrate=2400)
    modem = Modem(PORTS[port], baudrate=2400)
    took = _time_to_close(modem, _connect(bench, modem))
    with modem:
        _again(bench, modem)
    return f"close(1.0) took {took:.1f} s"


def _time_to_close(modem: Modem, sock: socket.socket) -> float:
    """Close a modem with a limit of one second while much is on its way."""
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(4096))
    time.sleep(0.5)  # some of it is in the kernel's hands
    began = time.monotonic()
    modem.close(1.0)
    took = time.monotonic() - began
    sock.close()
    assert took < 8.0, f"close() took {took:.1f} s"
    return took


@test("no list of descriptors in /dev", "uart")
def _no_dev_fd(bench: Bench, port: str) -> str:
    assert not os.path.exists("/dev/fd"), "this /dev has the link"
    with Modem(PORTS[port]) as modem:
        with _endless_echo(bench, modem) as ending:
            began = time.monotonic()
            bench.host.ask("fault", port=port, action="restart")
            reset = _time_to_reset(ending, began)
        _again(bench, modem)
    return f"reset after {reset:.2f} s, the next connection works"


# -- rates


def _set_rate(port: str, rate: int) -> tuple[int, str]:
    code, output, errors = _command("--json", "--port", PORTS[port], "baud", "--set", str(rate), "--yes")
    return code, output if code == 0 else errors


def _in_use(port: str) -> int:
    code, output, errors = _command("--json", "--port", PORTS[port], "baud")
    assert code == 0, errors
    return int(json.loads(output)["baudrate"])


@test("baud --set up to the driver's limit", "uart")
def _rates_of_uart(bench: Bench, port: str) -> str:
    return _set_rates(port, (9600, 57600, 115200))


@test("baud --set up to the module's limit", "usb")
def _rates_of_usb(bench: Bench, port: str) -> str:
    return _set_rates(port, (9600, 230400, 460800, 115200))


def _set_rates(port: str, rates: tuple[int, ...]) -> str:
    for rate in rates:
        code, text = _set_rate(port, rate)
        assert code == 0, (rate, text)
        assert json.loads(text) == {"baudrate": rate, "stored": rate}, text
        assert _in_use(port) == rate
    return ", ".join(map(str, rates))


@test("baud --set beyond the driver's limit", "uart")
def _beyond(bench: Bench, port: str) -> str:
    for rate in (230400, 460800):
        code, text = _set_rate(port, rate)
        assert code == 2 and f"the port cannot do {rate} baud" in text, (code, text)
        assert not [line for line in bench.commands(port) if line.startswith("AT+IPR=")], "the module was told"
        assert _in_use(port) == 115200
    code, _, errors = _command("--port", PORTS[port], "--baudrate", "460800", "info")
    assert code == 2 and "cannot do 460800 baud" in errors, (code, errors)
    return "refused before the module is told, which stays at 115200"


@test("a module at a rate that the driver cannot do", "uart")
def _unreachable(bench: Bench, port: str) -> str:
    bench.module(port, baudrate=460800)
    began = time.monotonic()
    code, _, errors = _command("--port", PORTS[port], "info")
    assert code == 6 and "nbsocket --baudrate 460800 baud --set 115200" in errors, (code, errors)
    return f"the way back is told after {time.monotonic() - began:.0f} s"


@test("14400 and 28800 are set exactly", "uart", "usb")
def _odd_rates(bench: Bench, port: str) -> str:
    import serial

    rates = []
    for rate in (14400, 28800):
        with serial.Serial(PORTS[port], baudrate=rate) as device:
            rates.append(read_rate(device.fileno()))
    assert rates == [14400, 28800], rates
    return "by the driver's word"


# -- opening and closing


@test("a UART that is not there", "uart")
def _absent(bench: Bench, port: str) -> str:
    assert stat.S_ISCHR(os.stat(ABSENT).st_mode)
    code, _, errors = _command("--port", ABSENT, "info")
    assert code == 3 and f"no hardware behind {ABSENT}" in errors, (code, errors)
    return errors.strip()


@test("DTR falls at the close, unless hupcl=False", "uart")
def _dtr(bench: Bench, port: str) -> str:
    for hupcl, is_kept in ((None, False), (False, True), (None, True), (True, False)):
        with Modem(PORTS[port], hupcl=hupcl) as modem:
            assert "DTR" in _lines_of(PORTS[port])
            modem.settings()
        assert ("DTR" in _lines_of(PORTS[port])) is is_kept, (hupcl, _lines_of(PORTS[port]))
    return "as /proc/tty/driver/serial tells"


def _lines_of(device: str) -> str:
    number = device.removeprefix("/dev/ttyS")
    with open("/proc/tty/driver/serial", encoding="ascii") as table:
        return next(line for line in table if line.startswith(f"{number}:"))
