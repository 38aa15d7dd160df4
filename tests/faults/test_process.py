"""The program itself: it forks in mid-transfer, ends with data in flight, and cannot write its log."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nbsocket import Modem
from nbsocket.sim import Fault, Simulator
from tests.faults.load import connect, wait_until, words_of
from tests.helpers import echo, logs_delivered, pattern, receive_all, receive_exactly, run_isolated, tcp_server

MakeSimulator = Callable[..., Simulator]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts on Linux")
def test_fork_in_mid_transfer(make_simulator: MakeSimulator) -> None:
    """Children that close what they inherited, exec or leave by exit() disturb nothing."""
    assert run_isolated("faults_fork.py", make_simulator().path) == "ok\n"


@pytest.mark.parametrize("way", ["exit", "ctrl_c"])
@pytest.mark.parametrize("line", ["pty", "sim"])
def test_interpreter_ends_with_data_in_flight(make_simulator: MakeSimulator, line: str, way: str) -> None:
    """What was written arrives, though other threads wait for the modem; none of them keeps the program."""
    hosts = {"192.0.2.1": "timeout"}
    url = make_simulator(hosts=hosts).path if line == "pty" else "sim://?host=192.0.2.1=timeout"
    received: list[bytes] = []
    with tcp_server(lambda sock: received.append(receive_all(sock))) as port:
        assert run_isolated("faults_exit.py", url, str(port), way).startswith("sent\n")
        wait_until(lambda: len(received) == 2)
    assert sorted(received) == [b"", bytes(words_of(0)[:30_000])]


def test_patched_program_ends_without_closing_anything() -> None:
    received: list[bytes] = []
    with tcp_server(lambda sock: received.append(receive_all(sock))) as port:
        assert run_isolated("exit_flushes.py", str(port)) == "sent\n"
        wait_until(lambda: bool(received))
    assert received == [pattern(20_000)]


# -- a full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_disk_full_for_the_log(make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of the log fails: connections go on, faults are survived, nothing is raised."""
    simulator = make_simulator()
    handler = logging.FileHandler("/dev/full")
    failed: list[logging.LogRecord] = []
    monkeypatch.setattr(handler, "handleError", failed.append)
    logger = logging.getLogger("nbsocket")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with Modem(simulator.path) as modem, tcp_server(echo) as port:
            with connect(modem, port) as sock:
                sock.sendall(b"x" * 2000)
                assert receive_exactly(sock, 2000) == b"x" * 2000
                simulator.inject(Fault("restart"))
                with pytest.raises(ConnectionResetError):
                    sock.recv(10)
            with connect(modem, port) as sock:
                sock.sendall(b"x")
                assert sock.recv(10) == b"x"
    finally:
        logs_delivered()
        logger.removeHandler(handler)
        logger.setLevel(level)
        with open(os.devnull, "w") as nothing:  # what is left in the buffer can be written now
            assert handler.stream is not None
            os.dup2(nothing.fileno(), handler.stream.fileno())
        handler.close()
    assert len(failed) > 10


def test_a_handler_that_raises_harms_no_connection(make_simulator: MakeSimulator) -> None:
    """A user's handler that breaks logging's rule must not break the modem's thread."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(28, "No space left on device")

    logger, handler = logging.getLogger("nbsocket"), Broken()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with Modem(make_simulator().path) as modem, tcp_server(echo) as port, connect(modem, port) as sock:
            sock.sendall(b"x")
            assert sock.recv(10) == b"x"
    finally:
        logs_delivered()
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_disk_full_for_the_log_of_the_command_line(tmp_path: Path) -> None:
    program = "import socket, sys; socket.create_connection(('server.example', int(sys.argv[1]))).sendall(b'through')"
    (tmp_path / "program.py").write_text(program)
    received: list[bytes] = []
    with tcp_server(lambda sock: received.append(receive_all(sock))) as port, open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nbsocket", "-vv", "--port", "sim://", "run", "program.py", str(port)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=full,
            timeout=40,
        )
        wait_until(lambda: bool(received))
    assert received == [b"through"]
    assert done.returncode == 0
