"""The serial port goes away under load: pulled out, its process killed or stopped, back under another name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbsocket import Modem
from nbsocket.sim import Fault, Options, Simulator
from tests.faults.load import connect, load, wait_until
from tests.helpers import echo, tcp_server

ROOT = Path(__file__).parents[2]

MakeSimulator = Callable[..., Simulator]


@contextmanager
def far_process(link: Path) -> Iterator[subprocess.Popen[str]]:
    """A simulated module in a process of its own, its pty at ``link``."""
    command = [sys.executable, "-m", "nbsocket", "sim", "--link", str(link)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == str(link)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("data_format", ["hex", "raw"])
def test_pty_gone_under_load(make_simulator: MakeSimulator, tmp_path: Path, data_format: str) -> None:
    link = tmp_path / "tty"
    first, second = make_simulator(), make_simulator()
    link.symlink_to(first.path)
    with Modem(str(link), data_format=data_format) as modem, load(modem) as busy:  # type: ignore[arg-type]  # of the row
        first.inject(Fault("hang_up"))
        busy.wait_over()
        busy.check()
        assert all(isinstance(connection.ending, ConnectionResetError) for connection in busy)
        link.unlink()
        link.symlink_to(second.path)
        busy.try_again()


def test_back_under_another_device_name(tmp_path: Path) -> None:
    """The same module, as a by-id link names it: unplugged under load, another device afterwards, twice."""
    link = tmp_path / "usb-Quectel_BC260Y-if00-port0"
    with Simulator(Options(), link=str(link)) as simulator, Modem(str(link)) as modem:
        devices = [os.readlink(link)]
        for _ in range(2):
            with load(modem) as busy:
                simulator.inject(Fault("hang_up"))
                busy.wait_over()
                busy.check()
                held, name = os.openpty()  # takes the device's old number
                simulator.plug_in()
                devices.append(os.readlink(link))
                busy.try_again()
            os.close(held)
            os.close(name)
        assert devices[0] != devices[1]
        wait_until(lambda: not modem.sockets())


def test_process_behind_the_pty_killed_under_load(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    with far_process(link) as process, Modem(str(link)) as modem, load(modem) as busy:
        process.kill()
        busy.wait_over()
        busy.check()
        with pytest.raises(OSError):
            connect(modem, busy.port)
        link.unlink()
        with far_process(link):
            modem.open()  # at once: it is otherwise tried at intervals
            busy.try_again()


def test_module_that_stops_for_a_moment_loses_nothing(tmp_path: Path) -> None:
    """SIGSTOP: deadlines hold meanwhile. SIGCONT: everything goes on where it was."""
    with far_process(tmp_path / "tty") as process, Modem(str(tmp_path / "tty")) as modem, load(modem, 2) as busy:
        process.send_signal(signal.SIGSTOP)
        before = [len(connection.got) for connection in busy]
        assert_calls_return_in_time(modem, busy.port)
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: all(len(one.got) > size + 100_000 for one, size in zip(busy, before, strict=True)))
        assert not any(connection.is_over for connection in busy)
        busy.try_again()
    busy.check()


def assert_calls_return_in_time(modem: Modem, port: int) -> None:
    """Every call with a deadline ends at it while the module is silent."""
    for call in (
        lambda: connect(modem, port, 0.1),
        lambda: modem.command("AT", 0.1),
        lambda: connect(modem, port, 0.3),
    ):
        began = time.monotonic()
        with pytest.raises(OSError):
            call()
        assert time.monotonic() - began < 2.0


def test_close_while_the_module_is_stopped(tmp_path: Path) -> None:
    """What cannot be sent is told in the log, the call ends, and the next open() works."""
    with far_process(tmp_path / "tty") as process, tcp_server(echo) as port:
        modem = Modem(str(tmp_path / "tty"))
        sock = connect(modem, port)
        process.send_signal(signal.SIGSTOP)
        sock.sendall(bytes(5000))
        began = time.monotonic()
        modem.close(0.2)
        assert time.monotonic() - began < 3.0
        with pytest.raises(ConnectionResetError):
            sock.recv(10)
        sock.close()
        process.send_signal(signal.SIGCONT)
        with modem, connect(modem, port) as sock:
            sock.sendall(b"x")
            assert sock.recv(10) == b"x"
