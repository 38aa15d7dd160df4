"""Ports of every kind: devices (a pty), URLs with and without a descriptor, the lock, and what errors say."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import serial

from nbsocket._port import Port, _device, is_opening_port
from nbsocket._runtime import _threads
from tests.faults.load import wait_until
from tests.helpers import EVERY_BYTE, PATIENCE, echo, tcp_server

#: A program that holds a port until its stdin ends.
HOLDER = """
import sys
from nbsocket._port import Port
port = Port.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """The far end's descriptor and the device's path."""
    far, near = os.openpty()
    tty.setraw(near)
    yield far, os.ttyname(near)
    for fd in (far, near):
        try:
            os.close(fd)
        except OSError:
            continue


def wait_readable(port: Port) -> None:
    assert select.select([port.fileno()], [], [], PATIENCE)[0], "nothing came"


def read_exactly(port: Port, size: int) -> bytes:
    data = b""
    while len(data) < size:
        wait_readable(port)
        data += port.read()
    return data


def test_pty_carries_every_byte(pty: tuple[int, str]) -> None:
    far, path = pty
    with closing(Port.open(path)) as port:
        assert port.read() == b""
        assert port.write(EVERY_BYTE) == 256
        assert os.read(far, 1000) == EVERY_BYTE
        os.write(far, EVERY_BYTE)
        assert read_exactly(port, 256) == EVERY_BYTE


def test_write_takes_what_fits(pty: tuple[int, str]) -> None:
    _, path = pty
    with closing(Port.open(path)) as port:
        written = 0
        while (size := port.write(bytes(4096))) and written < 1_000_000:
            written += size
        assert 0 < written < 1_000_000


def test_baudrate(pty: tuple[int, str]) -> None:
    _, path = pty
    with closing(Port.open(path, 9600)) as port:
        assert termios.tcgetattr(port.fileno())[5] == termios.B9600
        port.set_baudrate(57600)
        assert termios.tcgetattr(port.fileno())[4:6] == [termios.B57600] * 2


def test_hang_up_is_an_error(pty: tuple[int, str]) -> None:
    far, path = pty
    with closing(Port.open(path)) as port:
        os.close(far)
        with pytest.raises(OSError) as caught:
            while True:
                wait_readable(port)
                port.read()
        assert caught.value.errno == errno.EIO
        assert path in str(caught.value)


def test_second_open_names_the_holder(pty: tuple[int, str], tmp_path: Path) -> None:
    _, path = pty
    link = tmp_path / "ttyNB"
    link.symlink_to(path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        for name in (path, str(link)):
            with pytest.raises(OSError) as caught:
                Port.open(name)
            assert caught.value.errno == errno.EBUSY
            assert f"{name} is in use by PID {holder.pid} (" in str(caught.value)
        holder.stdin.close()
        assert holder.wait(PATIENCE) == 0
    Port.open(str(link)).close()


def test_second_open_in_one_process(pty: tuple[int, str]) -> None:
    _, path = pty
    with closing(Port.open(path)):
        with pytest.raises(OSError) as caught:
            Port.open(path)
        assert caught.value.errno == errno.EBUSY
        assert f"PID {os.getpid()}" in str(caught.value) and "this very process" in str(caught.value)
    Port.open(path).close()


def test_other_programs_see_the_lock(pty: tuple[int, str]) -> None:
    """What pyserial's users do with exclusive=True."""
    _, path = pty
    with closing(Port.open(path)), pytest.raises(serial.SerialException):
        serial.Serial(path, exclusive=True)


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("missing", errno.ENOENT, "is the modem plugged in"),
        ("directory", errno.EISDIR, "is a directory"),
        ("file", errno.ENOTTY, "is not a serial port"),
        ("nothing://x", errno.EINVAL, "not known"),
        ("socket://", errno.EINVAL, "socket://HOST:PORT"),
        ("socket://127.0.0.1:99999", errno.EINVAL, "range"),
        ("sim://?no_such_option=1", errno.EINVAL, "no_such_option"),
    ],
)
def test_what_cannot_be_opened(tmp_path: Path, name: str, number: int, words: str) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    url = name if "://" in name else str(tmp_path / name)
    with pytest.raises(OSError) as caught:
        Port.open(url)
    assert caught.value.errno == number
    assert words in str(caught.value) and url in str(caught.value)


@pytest.mark.skipif(os.getuid() == 0, reason="root may open everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    path.touch(mode=0)
    with pytest.raises(PermissionError, match="dialout"):
        Port.open(str(path))


def test_errno_of_permission() -> None:
    error = _device.explain("/dev/ttyUSB0", serial.SerialException(errno.EACCES, "could not open port"))
    assert isinstance(error, PermissionError) and "dialout" in str(error)


def test_tcp_port() -> None:
    with tcp_server(echo) as number, closing(Port.open(f"socket://127.0.0.1:{number}")) as port:
        port.set_baudrate(9600)
        assert port.write(EVERY_BYTE) == 256
        assert read_exactly(port, 256) == EVERY_BYTE


def test_tcp_port_ends() -> None:
    with tcp_server(lambda connection: None) as number, closing(Port.open(f"socket://127.0.0.1:{number}")) as port:
        wait_readable(port)
        with pytest.raises(OSError) as caught:
            port.read()
        assert caught.value.errno == errno.EIO


def test_tcp_port_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"socket://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectionRefusedError, match=url):
            Port.open(url)


def test_port_without_descriptor() -> None:
    before, listed = set(_threads._own), threading.active_count()
    port = Port.open("loop://")
    assert port.write(EVERY_BYTE) == 256
    assert read_exactly(port, 256) == EVERY_BYTE
    port.set_baudrate(9600)
    assert len(_threads._own - before) == 2
    port.close()
    wait_until(lambda: set(_threads._own) == before and threading.active_count() == listed)


def test_port_without_descriptor_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler's own exception, of whatever kind, is the end of the line."""
    broken = threading.Event()
    loop_class = type(serial.serial_for_url("loop://", do_not_open=True))

    def read(self: object, size: int = 1) -> bytes:
        broken.wait(PATIENCE)
        raise TypeError("port closed by another thread")

    monkeypatch.setattr(loop_class, "read", read)
    with closing(Port.open("loop://")) as port:
        broken.set()
        wait_readable(port)
        with pytest.raises(OSError, match="another thread"):
            port.read()


def test_opening_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that connect by themselves must not be sent over the modem by a patch."""
    seen: list[bool] = []
    loop_class = type(serial.serial_for_url("loop://", do_not_open=True))
    genuine_open = loop_class.open

    def open_(self: serial.Serial) -> None:
        seen.append(is_opening_port())
        genuine_open(self)

    monkeypatch.setattr(loop_class, "open", open_)
    assert not is_opening_port()
    Port.open("loop://").close()
    assert seen == [True] and not is_opening_port()


class Wired(serial.Serial):
    """A pty that has modem lines, which RFC 2217 servers ask for."""

    cts = dsr = ri = cd = True

    def _update_dtr_state(self) -> None:
        pass

    def _update_rts_state(self) -> None:
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial.rfc2217")
def test_rfc2217() -> None:
    """A modem behind another machine's RFC 2217 server: pyserial's own, over a pty."""
    far, near = os.openpty()
    tty.setraw(near)
    device = Wired(os.ttyname(near), timeout=0)

    def serve(connection: socket.socket) -> None:
        from serial import rfc2217

        class Writer:
            def write(self, data: bytes) -> None:
                connection.sendall(data)

        # The stubs take the second argument for another port.
        manager: Any = rfc2217.PortManager(device, Writer())  # type: ignore[arg-type]
        while True:
            ready = select.select([connection.fileno(), device.fileno()], [], [], PATIENCE)[0]
            if connection.fileno() in ready:
                data = connection.recv(4096)
                if not data:
                    return
                device.write(b"".join(manager.filter(data)))
            if device.fileno() in ready:
                connection.sendall(b"".join(manager.escape(device.read(4096))))

    with device, tcp_server(serve) as number, closing(Port.open(f"rfc2217://127.0.0.1:{number}", 57600)) as port:
        assert port.write(EVERY_BYTE) == 256
        received = b""
        while len(received) < 256:
            received += os.read(far, 1000)
        assert received == EVERY_BYTE
        os.write(far, EVERY_BYTE)
        assert read_exactly(port, 256) == EVERY_BYTE
        assert device.baudrate == 57600
    os.close(far)
    os.close(near)


def test_simulator_answers() -> None:
    with closing(Port.open("sim://")) as port:
        port.write(b"AT\r")
        data = b""
        while b"OK" not in data:
            wait_readable(port)
            data += port.read()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_abandoned_after_fork_keeps_the_lock(pty: tuple[int, str]) -> None:
    _, path = pty
    with closing(Port.open(path)) as port:
        child = os.fork()
        if not child:
            port.abandon_after_fork()
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(OSError) as caught:
            Port.open(path)
        assert caught.value.errno == errno.EBUSY


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell whether a terminal is exclusive")
def test_device_is_exclusive_while_it_is_open(pty: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that do not look at locks are refused, too; a pty is not, so it has to pass for another device here."""
    monkeypatch.setattr(_device, "PTY_MAJORS", range(0))
    watcher = os.open(pty[1], os.O_RDWR | os.O_NOCTTY)
    try:
        states = [is_exclusive(watcher)]
        with closing(Port.open(pty[1])):
            states.append(is_exclusive(watcher))
        states.append(is_exclusive(watcher))
    finally:
        os.close(watcher)
    assert states == [False, True, False]


def is_exclusive(fd: int) -> bool:
    """Ask Linux whether a terminal refuses further opens: TIOCGEXCL of asm-generic/ioctls.h."""
    return fcntl.ioctl(fd, 0x80045440, bytes(4)) != bytes(4)
