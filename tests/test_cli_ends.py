"""How programs under ``nbsocket run`` end: Ctrl-C, SIGTERM, and what their tracebacks show."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import sim_url, tcp_server
from tests.test_cli import environment

#: Bytes that take several seconds on the serial line, fewer than the ten that an end may take.
SIZE, RATE = 5000, 19200

UPLOAD = f"""\
import os, signal, socket, sys
sock = socket.create_connection(("api.example", int(sys.argv[1])), 60)
sock.sendall(b"x" * {SIZE})
print("written", flush=True)
"""


class Sink:
    """A server that counts what it gets."""

    def __init__(self) -> None:
        self.size = 0
        self.is_over = threading.Event()

    def serve(self, sock: object) -> None:
        while data := sock.recv(4096):  # type: ignore[attr-defined]  # a socket
            self.size += len(data)
        self.is_over.set()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], Sink]]]:
    """Run a program that uploads, and then does what it is told; give its process and its server."""
    sink = Sink()
    with tcp_server(sink.serve) as port:

        def begin(rest: str, **variables: str) -> tuple[subprocess.Popen[str], Sink]:
            program = tmp_path / "upload.py"
            program.write_text(UPLOAD + rest)
            url = sim_url(dns={"api.example": "192.0.2.7"}, baudrate=RATE)
            words = ["run", "--port", url, "--baudrate", str(RATE), str(program), str(port)]
            process = subprocess.Popen(
                [sys.executable, "-m", "nbsocket", *words],
                env={**environment(), **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None and process.stdout.readline() == "written\n"
            return process, sink

        yield begin


Start = Callable[..., "tuple[subprocess.Popen[str], Sink]"]

REST = re.compile(r"sending the rest \(\d KB\), Ctrl-C again to drop it")


def test_ctrl_c_sends_the_rest_and_says_so(start: Start) -> None:
    process, sink = start("signal.raise_signal(signal.SIGINT)\n")
    _, error = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert REST.search(error) and "were not sent" not in error
    assert sink.is_over.wait(10) and sink.size == SIZE


def test_second_ctrl_c_drops_the_rest(start: Start) -> None:
    process, sink = start("signal.raise_signal(signal.SIGINT)\n")
    assert process.stderr is not None
    error = ""
    while not REST.search(error):
        line = process.stderr.readline()
        assert line, error
        error += line
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert re.search(r"dropped by Ctrl-C: \d+ (KB|bytes) were not sent", rest)
    assert "Traceback" not in rest and "Exception ignored" not in rest
    assert sink.size < SIZE


def test_end_of_the_program_says_what_it_waits_for(start: Start) -> None:
    process, sink = start("")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(r"sending the rest \(\d KB\), Ctrl-C to drop it", error)
    assert sink.is_over.wait(10) and sink.size == SIZE


def test_sigterm_sends_the_rest(start: Start) -> None:
    process, sink = start("signal.pause()\n")
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert "sending the rest" in error and "Traceback" not in error
    assert sink.is_over.wait(10) and sink.size == SIZE


def test_second_sigterm_ends_at_once(start: Start) -> None:
    process, sink = start("signal.pause()\n")
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None and "sending the rest" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM and sink.size < SIZE


def test_sigterm_is_the_programs_own_where_it_has_a_handler(start: Start) -> None:
    process, _ = start(
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\nprint('ready', flush=True)\nsignal.pause()\n"
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 7


def test_sigterm_of_a_child_ends_the_child_alone(start: Start) -> None:
    child = (
        "pid = os.fork()\n"
        "if not pid: signal.pause()\n"
        "os.kill(pid, signal.SIGTERM)\n"
        "print(os.WTERMSIG(os.waitpid(pid, 0)[1]), flush=True)\n"
    )
    process, sink = start(child)
    output, _ = process.communicate(timeout=60)
    assert output == f"{int(signal.SIGTERM)}\n" and process.returncode == 0
    assert sink.is_over.wait(10) and sink.size == SIZE


@pytest.mark.parametrize("end", ["signal.raise_signal(signal.SIGINT)", "os.kill(os.getpid(), signal.SIGTERM)", ""])
def test_nothing_is_said_where_everything_was_sent(tmp_path: Path, end: str) -> None:
    program = tmp_path / "app.py"
    program.write_text(
        "import os, signal, socket, sys\n"
        "sys.excepthook = lambda *_: None\n"
        "sock = socket.create_connection(('api.example', int(sys.argv[1])), 60)\n"
        "sock.sendall(b'x')\n"
        "sock.recv(1)\n"
        f"{end}\n"
    )

    def answer(sock: object) -> None:
        sock.sendall(sock.recv(1))  # type: ignore[attr-defined]  # a socket
        sock.recv(1)  # type: ignore[attr-defined]  # the same

    with tcp_server(answer) as port:
        words = ["run", "--port", sim_url(dns={"api.example": "192.0.2.7"}), str(program), str(port)]
        done = subprocess.run(
            [sys.executable, "-m", "nbsocket", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""


# -- tracebacks

FAILING = """\
import socket, threading

def ask():
    socket.create_connection(("no.such.invalid", 80))

def thread():
    ask()

worker = threading.Thread(target=thread)
worker.start()
worker.join()
try:
    ask()
except OSError as error:
    raise RuntimeError("not reached") from error
"""


def run_failing(tmp_path: Path, **variables: str) -> str:
    program = tmp_path / "fails.py"
    program.write_text(FAILING)
    done = subprocess.run(
        [sys.executable, "-m", "nbsocket", "run", "--port", sim_url(), str(program)],
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_tracebacks_show_the_programs_frames_alone(tmp_path: Path) -> None:
    error = run_failing(tmp_path)
    assert error.count("Traceback (most recent call last)") == 3, error
    assert error.count("fails.py") == 5 and "in ask" in error and "in thread" in error
    assert "RuntimeError: not reached" in error and "no.such.invalid" in error
    assert "/nbsocket/" not in error


def test_tracebacks_show_all_frames_when_asked_to(tmp_path: Path) -> None:
    assert "/nbsocket/_" in run_failing(tmp_path, NBSOCKET_DEBUG="1")
