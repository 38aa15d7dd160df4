"""``nbsocket run --bill``: what a program moved, at whatever end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nbsocket._engine._stats import KEPT_TOTALS, Accounts, ConnectionStats
from tests.helpers import echo, sim_url, tcp_server

PROGRAM = """\
import socket, sys
for _ in range(3):
    with socket.create_connection(("api.example", int(sys.argv[1])), 60) as sock:
        sock.sendall(b"x" * 1000)
        left = 1000
        while left:
            left -= len(sock.recv(left))
print("done", flush=True)
"""

ENDS = {
    "end": "",
    "exit": "sys.exit(3)",
    "exception": "raise RuntimeError('its own')",
    "ctrl-c": "import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()",
}


@pytest.mark.parametrize("end", ENDS)
def test_bill(tmp_path: Path, end: str) -> None:
    program = tmp_path / "app.py"
    program.write_text(PROGRAM + ENDS[end])
    with tcp_server(echo) as port:
        url = sim_url(dns={"api.example": "192.0.2.7"})
        words = ["--port", url, "run", "--bill", str(program), str(port)]
        done = subprocess.run(
            [sys.executable, "-m", "nbsocket", *words], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == {"end": 0, "exit": 3, "exception": 1, "ctrl-c": -signal.SIGINT}[end], done.stderr
    assert done.stdout == "done\n"
    row = re.search(rf"^TCP api\.example:{port} +3 +3,000 +3,000$", done.stderr, re.MULTILINE)
    assert row is not None, done.stderr
    assert re.search(r"^serial line +[\d,]+ +[\d,]+$", done.stderr, re.MULTILINE)
    assert re.search(r"^\d+ commands, \d+ segments, 0 sent again, 0 restarts$", done.stderr, re.MULTILINE)
    assert max(map(len, done.stderr[row.start() :].splitlines())) <= 60


def test_no_bill_without_the_option(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("")
    words = ["--port", "sim://", "run", str(program)]
    done = subprocess.run([sys.executable, "-m", "nbsocket", *words], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_totals_are_bounded() -> None:
    accounts = Accounts()
    accounts.note_name("10.0.0.1", "a.example")
    for number in range(KEPT_TOTALS + 5):
        accounts.begin(number, lambda is_open, number=number: ConnectionStats("TCP", "10.0.0.2", number, 1, 2, is_open))  # type: ignore[misc]  # a default binds the number
        accounts.end(number)
    accounts.begin("named", lambda is_open: ConnectionStats("TCP", "10.0.0.1", 80, 5, 7, is_open))
    totals = accounts.totals()
    assert len(totals) <= KEPT_TOTALS + 1
    assert [(total.port, total.connections) for total in totals if total.host == "others"] == [(0, 6)]
    assert sum(total.connections for total in totals) == KEPT_TOTALS + 6
    assert (sum(total.bytes_up for total in totals), sum(total.bytes_down for total in totals)) == (1010, 2017)
