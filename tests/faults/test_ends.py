"""How programs end while a modem serves them: everything that they still say is sent, and nothing more is heard."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nbsocket.sim import Simulator
from tests.faults.load import wait_until
from tests.helpers import tcp_server

MakeSimulator = Callable[..., Simulator]

SCRIPT = Path(__file__).parents[1] / "isolated" / "last_words.py"

#: What each scene prints, what it says to standard error, its exit code, and what arrives besides.
SCENES: dict[str, tuple[list[str], str, int, list[bytes]]] = {
    "exit functions": (
        ["main ends", "registered after the modem", "second registered", "first registered", "finalised"],
        "ZeroDivisionError",
        0,
        [],
    ),
    # CPython 3.12 starts no thread once the main thread has ended.
    "first use": (["main ends"], "[Errno 12]", 0, [])
    if sys.version_info[:2] == (3, 12)
    else (["main ends", "first use"], "", 0, []),
    "memory handler": (["main ends"], "", 0, [b"kept"]),
    "blocked threads": (["main ends"], "", 0, [b"sent before the end"]),
    "exit in a thread": (["main ends", "a thread that is waited for"], "", 0, []),
    "error": (["excepthook"], "", 1, [b"sent before the error"]),
    "fork": (["after the child", "main ends"], "", 0, []),
}


@pytest.mark.parametrize("line", ["pty", "sim"])
@pytest.mark.parametrize("scene", SCENES)
def test_end_of_a_program(make_simulator: MakeSimulator, scene: str, line: str) -> None:
    lines, complaint, code, besides = SCENES[scene]
    hosts = {"192.0.2.1": "timeout"}
    url = make_simulator(hosts=hosts).path if line == "pty" else "sim://?host=192.0.2.1=timeout"
    received: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        got = b""
        while data := connection.recv(65536):
            got += data
            if scene != "blocked threads":
                connection.sendall(data)
        received.append(got)

    with tcp_server(answer) as port:
        done = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(SCRIPT), scene, url, str(port)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=60,
        )
        said = [line.encode() for line in lines if line not in ("main ends", "excepthook")]
        wait_until(lambda: sorted(filter(None, received)) == sorted(said + besides))
    assert done.stdout.splitlines() == lines
    assert done.returncode == code
    assert complaint in done.stderr if complaint else not done.stderr, done.stderr
