"""Errors of the library's own: what they are, what they carry, and the reason behind the kernel's."""

from __future__ import annotations

import copy
import errno
import gc
import pickle
import socket
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

import nbsocket
from nbsocket import Modem, ModemError
from nbsocket._errors import _CLASSES, make_error, name_error
from tests.faults.load import wait_until
from tests.helpers import echo, sim_url, tcp_server, unused_port

#: An errno and the class that OSError makes of it.
NATIVE = sorted((number, type(OSError(number, ""))) for number in errno.errorcode)


@pytest.mark.parametrize(("number", "native"), NATIVE, ids=lambda value: getattr(value, "__name__", str(value)))
def test_error_is_what_the_native_one_is(number: int, native: type[OSError]) -> None:
    error = make_error(number, "words", command="AT+X", result=566)
    other = OSError(number, "words")
    assert isinstance(error, ModemError) and isinstance(error, native)
    assert (error.errno, error.strerror, error.args, str(error)) == (number, "words", other.args, str(other))
    assert (error.result, error.command) == (566, "AT+X")
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(same) is type(error) and same.args == error.args
        assert (same.result, same.command) == (566, "AT+X")


@pytest.mark.parametrize("native", sorted(_CLASSES, key=str), ids=str)
def test_class_of_each_native_one(native: type[OSError]) -> None:
    both = _CLASSES[native]
    assert issubclass(both, native) and issubclass(both, ModemError) and both.__module__ == "nbsocket._errors"
    assert pickle.loads(pickle.dumps(both)) is both


def test_name_error() -> None:
    error = name_error(socket.EAI_NONAME, "unknown")
    assert isinstance(error, ModemError) and isinstance(error, socket.gaierror)
    assert error.args == (socket.EAI_NONAME, "unknown") and error.result is None


def test_errors_of_a_program() -> None:
    """Of each kind that the code raises: it is the native class, and a ModemError."""
    with Modem(sim_url()) as modem:
        with nbsocket.socket(modem=modem) as sock:
            with pytest.raises(ConnectionRefusedError) as refused:
                sock.connect(("192.0.2.1", unused_port()))
            assert isinstance(refused.value, ModemError) and refused.value.result == 566
            assert refused.value.command is not None and refused.value.command.startswith("AT+QIOPEN")
            reason = nbsocket.last_error(sock)
            assert reason is not None and (reason.result, reason.errno) == (566, errno.ECONNREFUSED)
        assert nbsocket.last_error(sock) is not None, "after the close, too"
        with nbsocket.socket(modem=modem) as sock, pytest.raises(OSError, match="not connected") as unconnected:
            sock.getpeername()
        assert unconnected.value.errno == errno.ENOTCONN
        with nbsocket.socket(modem=modem) as sock:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError) as begun:
                sock.connect(("192.0.2.1", unused_port()))
            assert isinstance(begun.value, ModemError)
        with pytest.raises(OSError, match="result 565") as unknown:
            modem.resolve("no.such.invalid")
        assert isinstance(unknown.value, ModemError) and unknown.value.result == 565
        with pytest.raises(OSError, match="error") as at:
            modem.command("AT+NOSUCH")
        assert isinstance(at.value, ModemError) and at.value.command == "AT+NOSUCH"


def test_modem_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Modem("/dev/nosuch").open()
    assert isinstance(caught.value, OSError) and caught.value.errno == errno.ENOENT


def test_reason_behind_a_reset() -> None:
    """The kernel raises ECONNRESET on the descriptor; why is asked for."""
    with Modem(sim_url()) as modem, tcp_server(echo) as port, nbsocket.socket(modem=modem) as sock:
        sock.connect(("192.0.2.1", port))
        assert nbsocket.last_error(sock) is None
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        modem.command("AT+QRST=1")
        with pytest.raises(ConnectionResetError) as caught:
            while sock.recv(1):
                pass
        assert type(caught.value) is ConnectionResetError, "the kernel's own"
        reason = nbsocket.last_error(sock)
        assert isinstance(reason, ConnectionResetError) and "restarted" in str(reason)
    assert nbsocket.last_error(sock) is reason


def test_no_reason() -> None:
    with socket.socket() as sock:
        assert nbsocket.last_error(sock) is None
    with nbsocket.socket() as ours:
        assert nbsocket.last_error(ours) is None
    assert nbsocket.last_error(ours) is None


def test_reason_keeps_no_socket_alive() -> None:
    with Modem(sim_url()) as modem:
        sock = nbsocket.socket(modem=modem)
        with pytest.raises(ConnectionRefusedError):
            sock.connect(("192.0.2.1", unused_port()))
        sock.close()
        gone = weakref.ref(sock)
        del sock
        wait_until(lambda: gc.collect() >= 0 and gone() is None)


def test_types_of_errors_and_statistics(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import socket\n"
        "import nbsocket\n"
        "modem = nbsocket.Modem('sim://')\n"
        "sock = nbsocket.socket(modem=modem)\n"
        "try:\n"
        "    sock.connect(('a.example', 80))\n"
        "except nbsocket.ModemError as error:\n"
        "    code: int | None = error.result\n"
        "    line: str | None = error.command\n"
        "    number: int | None = error.errno\n"
        "reason: nbsocket.ModemError | None = nbsocket.last_error(sock)\n"
        "stats: nbsocket.Stats = modem.stats()\n"
        "total: int = stats.commands + sum(one.bytes_up for one in stats.connections)\n"
        "wrong: str = error.result\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([*mypy, str(program)], capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in done.stdout.splitlines() if "error:" in line]
    assert [line.split(":")[1] for line in lines] == ["14"], done.stdout + done.stderr
