"""What a terminal driver really does is read back, by number where the system has numbers."""

from __future__ import annotations

import errno
import fcntl
import os
import termios
from collections.abc import Iterator
from typing import Any

import pytest
import serial

from nbsocket._port import _tty
from nbsocket._port._tty import is_close, read_rate, set_hupcl


@pytest.fixture
def device() -> Iterator[str]:
    far, near = os.openpty()
    yield os.ttyname(near)
    os.close(far)
    os.close(near)


@pytest.mark.parametrize("rate", [2400, 9600, 115200, 460800, 14400, 28800, 123456])
def test_rate_is_read_back(device: str, rate: int) -> None:
    """Also those that have no constant: 14400 and 28800 among them."""
    with serial.Serial(device, baudrate=rate) as port:
        assert read_rate(port.fileno()) == rate


def test_rate_without_termios2(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on MIPS, which numbers that request in another way."""

    def ioctl(fd: int, request: int, *rest: Any) -> Any:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    with serial.Serial(device, baudrate=57600) as port, serial.Serial(device, baudrate=14400):
        monkeypatch.setattr(fcntl, "ioctl", ioctl)
        assert read_rate(port.fileno()) is None, "a rate without a constant cannot be told"
        termios.tcsetattr(port.fileno(), termios.TCSANOW, _with_speed(port.fileno(), termios.B57600))
        assert read_rate(port.fileno()) == 57600


def _with_speed(fd: int, speed: int) -> list[Any]:
    attributes = termios.tcgetattr(fd)
    attributes[2] = (attributes[2] & ~0o010017) | speed
    attributes[4:6] = [speed, speed]
    return attributes


def test_no_terminal_has_no_rate() -> None:
    reader, writer = os.pipe()
    assert read_rate(reader) is None
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("rate", "is_understood"), [(115200, True), (111745, True), (111743, False), (118656, True), (118657, False)]
)
def test_three_percent(rate: int, is_understood: bool) -> None:
    assert is_close(rate, 115200) is is_understood
    assert _tty.RATE_TOLERANCE == 0.03


def test_hupcl(device: str) -> None:
    with serial.Serial(device) as port:
        for is_on in (False, True, True, False):
            set_hupcl(port.fileno(), is_on)
            assert bool(termios.tcgetattr(port.fileno())[2] & termios.HUPCL) is is_on
