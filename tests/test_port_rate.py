"""A port that cannot do every rate, as real drivers cannot: they report no error and keep another rate.

A pty takes any rate. :class:`LimitedDriver` stands at the seam where the rate is read back and sets the pty to what a
driver with a limit would have made of it, so that the simulated module at the other end (``strict_baud``) is really
spoken to at that rate. The real drivers are in ``compat_tests/machine``.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import termios
import tty
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from nbsocket import Modem
from nbsocket._cli import main
from nbsocket._port import Port, _device, _tty
from nbsocket.sim import Simulator
from tests.helpers import PATIENCE, tcp_server
from tests.test_port import Wired

MakeSimulator = Callable[..., Simulator]

CONSTANTS = {getattr(termios, f"B{rate}"): rate for rate in (9600, 57600, 115200, 230400, 460800)}


class LimitedDriver:
    """A serial driver that takes its maximum for any rate above it, or stays at the rate that it had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit: int = 115200, *, keeps_old: bool = False) -> None:
        self.limit = limit
        self.keeps_old = keeps_old
        self._rate = limit
        monkeypatch.setattr(_device, "read_rate", self.read_rate)

    def read_rate(self, fd: int) -> int | None:
        """The seam: carry out what the driver does, then tell it."""
        wanted = _tty.read_rate(fd)
        assert wanted is not None
        if wanted > self.limit:
            wanted = self._rate if self.keeps_old else self.limit
            attributes = termios.tcgetattr(fd)
            speed = next(value for value, rate in CONSTANTS.items() if rate == wanted)
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(fd, termios.TCSANOW, attributes)
        self._rate = wanted
        return wanted


@pytest.mark.parametrize("keeps_old", [False, True])
def test_rate_beyond_the_driver_is_refused_at_opening(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, keeps_old: bool
) -> None:
    LimitedDriver(monkeypatch, keeps_old=keeps_old)
    path = make_simulator().path
    with pytest.raises(OSError, match="cannot do 460800 baud") as caught:
        Port.open(path, 460800)
    assert caught.value.errno == errno.EINVAL and path in str(caught.value)
    with closing(Port.open(path, 115200)) as port:  # nothing holds it
        assert port.baudrate == 115200


@pytest.mark.parametrize("keeps_old", [False, True])
def test_rate_beyond_the_driver_is_refused_and_put_back(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, keeps_old: bool
) -> None:
    LimitedDriver(monkeypatch, keeps_old=keeps_old)
    with closing(Port.open(make_simulator().path, 57600)) as port:
        with pytest.raises(OSError, match="cannot do 230400 baud") as caught:
            port.set_baudrate(230400)
        assert caught.value.errno == errno.EINVAL
        assert port.baudrate == 57600, "the one before"
        port.set_baudrate(115200)
        assert port.baudrate == 115200


def test_default_rate_beyond_the_driver_is_no_error(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for it: the search goes on with the others."""
    LimitedDriver(monkeypatch, 9600)
    with Modem(make_simulator(baudrate=9600, strict_baud=True).path) as modem:
        assert modem.settings().baudrate == 9600


def test_port_that_is_gone_is_no_port_that_cannot() -> None:
    far, near = os.openpty()
    tty.setraw(near)
    with closing(Port.open(os.ttyname(near), 9600)) as port:
        os.close(far)
        os.close(near)
        with pytest.raises(OSError, match="hung up") as caught:
            port.set_baudrate(57600)
        assert caught.value.errno == errno.EIO


def test_port_that_goes_while_its_rate_is_changed(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is lost, as at any other moment, and not taken for one that cannot do the rate; the next call opens it."""
    simulator = make_simulator()
    genuine = _device.Device.set_baudrate

    def set_baudrate(self: Any, baudrate: int) -> None:
        if baudrate == 57600:
            raise OSError(errno.EIO, "the port hung up")
        genuine(self, baudrate)

    monkeypatch.setattr(_device.Device, "set_baudrate", set_baudrate)
    with Modem(simulator.path) as modem:
        modem.settings()
        with pytest.raises(OSError, match="hung up") as caught:
            modem.set_baudrate(57600)
        assert caught.value.errno == errno.EIO
        assert modem.settings().baudrate == 115200
    assert "AT+IPR=57600" not in simulator.commands


def test_module_is_not_told_of_a_rate_that_the_port_cannot_do(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    LimitedDriver(monkeypatch)
    simulator = make_simulator(baudrate=115200, strict_baud=True)
    with Modem(simulator.path) as modem:
        for rate in (460800, 230400):
            with pytest.raises(OSError, match=f"the port cannot do {rate} baud") as caught:
                modem.set_baudrate(rate)
            assert caught.value.errno == errno.EINVAL
            assert modem.settings().baudrate == 115200
        assert not [line for line in simulator.commands if line.startswith("AT+IPR=")]
        modem.set_baudrate(57600)
        assert modem.settings().baudrate == 57600


def test_command_line_tells_the_true_rate(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    LimitedDriver(monkeypatch)
    path = make_simulator(baudrate=115200, strict_baud=True).path
    assert main(["--port", path, "baud", "--set", "460800", "--yes"]) == 2
    assert "cannot do 460800 baud" in capsys.readouterr().err
    assert main(["--port", path, "baud"]) == 0
    assert capsys.readouterr().out.startswith("in use    115200\n")
    assert main(["--port", path, "--baudrate", "460800", "info"]) == 2
    assert f"{path} cannot do 460800 baud: its driver has set 115200 instead" in capsys.readouterr().err


def test_module_found_at_the_rate_that_the_driver_kept(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the rate that is spoken, not the one that was meant, which is told."""
    driver = LimitedDriver(monkeypatch)
    simulator = make_simulator(baudrate=115200, strict_baud=True)
    with Modem(simulator.path, baudrate=115200) as modem:
        lifecycle = modem.engine._core.driver._core.lifecycle
        modem.engine.call(lambda: setattr(lifecycle, "_baudrate", 460800)).result(PATIENCE)
        modem.close()
        modem.open()
        assert modem.settings().baudrate == 115200
    assert driver.limit == 115200


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial.rfc2217")
def test_rfc2217_server_that_cannot() -> None:
    """RFC 2217 §3: the server answers with the rate that it has."""
    far, near = os.openpty()
    tty.setraw(near)

    class Slow(Wired):
        @property
        def baudrate(self) -> int:
            return int(self._baudrate)

        @baudrate.setter
        def baudrate(self, rate: int) -> None:
            self._baudrate = min(rate, 115200)

    device = Slow(os.ttyname(near), timeout=0)

    def serve(connection: socket.socket) -> None:
        from serial import rfc2217

        class Writer:
            def write(self, data: bytes) -> None:
                connection.sendall(data)

        manager: Any = rfc2217.PortManager(device, Writer())  # type: ignore[arg-type]  # the stubs take a port only
        while select.select([connection.fileno()], [], [], PATIENCE)[0]:
            data = connection.recv(4096)
            if not data:
                return
            b"".join(manager.filter(data))

    with device, tcp_server(serve) as number, closing(Port.open(f"rfc2217://127.0.0.1:{number}", 57600)) as port:
        with pytest.raises(OSError, match="cannot do 460800 baud") as caught:
            port.set_baudrate(460800)
        assert caught.value.errno == errno.EINVAL
        port.set_baudrate(9600)
        assert device.baudrate == 9600 and port.baudrate is None and port.has_baudrate
    os.close(far)
    os.close(near)


def test_port_without_a_rate_of_its_own(make_simulator: MakeSimulator) -> None:
    """Behind socket:// the rate is the other machine's: what is told is what the module has stored."""
    simulator = make_simulator(baudrate=9600)
    fd = os.open(simulator.path, os.O_RDWR | os.O_NOCTTY)

    def bridge(connection: socket.socket) -> None:
        while ready := select.select([connection.fileno(), fd], [], [], PATIENCE)[0]:
            if fd in ready:
                connection.sendall(os.read(fd, 4096))
            if connection.fileno() in ready:
                data = connection.recv(4096)
                if not data:
                    return
                os.write(fd, data)

    with tcp_server(bridge) as number, Modem(f"socket://127.0.0.1:{number}") as modem:
        assert modem.settings().baudrate == 9600
        with pytest.raises(OSError, match="cannot be changed from here") as caught:
            modem.set_baudrate(57600)
        assert caught.value.errno == errno.EOPNOTSUPP
    os.close(fd)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("hupcl", [True, False, None])
def test_hupcl_of_the_port(make_simulator: MakeSimulator, hupcl: bool | None, before: bool) -> None:
    """None leaves what the user has set (``stty -hupcl``)."""
    simulator = make_simulator()
    fd = os.open(simulator.path, os.O_RDWR | os.O_NOCTTY)
    _tty.set_hupcl(fd, before)
    with closing(Port.open(simulator.path, hupcl=hupcl)) as port:
        is_set = bool(termios.tcgetattr(port.fileno())[2] & termios.HUPCL)
    assert is_set is (before if hupcl is None else hupcl)
    os.close(fd)


@pytest.mark.parametrize(
    ("words", "value", "is_on"),
    [
        ((), None, None),
        (("--no-hupcl",), None, False),
        ((), "0", False),
        ((), "1", True),
        (("--no-hupcl",), "1", False),
    ],
)
def test_hupcl_by_option_and_environment(
    make_simulator: MakeSimulator,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    value: str | None,
    is_on: bool | None,
) -> None:
    seen: list[bool | None] = []
    genuine = Port.open.__func__  # type: ignore[attr-defined]  # of a class method

    def open_(url: str, baudrate: int | None = None, *, hupcl: bool | None = None) -> Port:
        seen.append(hupcl)
        return genuine(Port, url, baudrate, hupcl=hupcl)  # type: ignore[no-any-return]  # it is one

    monkeypatch.setattr(Port, "open", open_)
    if value is not None:
        monkeypatch.setenv("NBSOCKET_HUPCL", value)
    assert main([*words, "--port", make_simulator().path, "baud"]) == 0
    assert seen == [is_on]


def test_hupcl_of_the_environment_is_checked(
    make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NBSOCKET_HUPCL", "perhaps")
    assert main(["--port", make_simulator().path, "baud"]) == 2
    assert "NBSOCKET_HUPCL must be 0 or 1" in capsys.readouterr().err


def test_uart_that_is_not_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux lists UARTs that no board has; each answers EIO to whatever is asked of it. /dev/null stands for one."""

    def tcgetattr(fd: int) -> list[Any]:
        raise termios.error(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(termios, "tcgetattr", tcgetattr)
    assert main(["--port", "/dev/null", "info"]) == 3
    assert "no hardware behind /dev/null" in capsys.readouterr().err
