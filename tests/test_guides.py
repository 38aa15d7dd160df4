"""What the guides say can be typed: every command of theirs is run, on the simulator."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import nbsocket
from tests.helpers import echo, sim_url, tcp_server
from tests.test_cli import ROOT, environment

#: Where there is more than examples: the table of subcommands, what stands for others, and the manual's table, which
#: tests/test_manual_coverage.py looks after.
TABLES = ("command-line.md", "manual-coverage.md", "cpython-conformance.md", "zh/")
NO_COMMANDS = (
    "nbsocket log",
    "nbsocket run",
    "nbsocket at",
    "nbsocket demo",
    "nbsocket doctor",
    "nbsocket info",
    "nbsocket run --print-unit",
)

#: Exit codes other than 0, by a piece of the command: a host that is not there, packages that are not installed.
EXIT_CODES = {"--host": 1, "-m pproxy": 9, "-m package.module": 9, "--watch": 130}


def commands() -> list[str]:
    found: list[str] = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if page.relative_to(ROOT / "docs" if page.name != "README.md" else ROOT).as_posix().startswith(TABLES):
            continue
        text = page.read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        found += [*blocks, *re.findall(r"`([^`\n]+)`", prose)]
    shown = (re.split(r" +#| \| | 2> ", line.strip())[0].replace(".venv/bin/", "") for line in found)
    whole = (line.removeprefix("NBSOCKET_PORT=/dev/ttyUSB0 ") for line in shown)
    return sorted({line for line in whole if line.startswith("nbsocket ") and "…" not in line} - set(NO_COMMANDS))


COMMANDS = commands()


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 25 and "nbsocket --port /dev/ttyUSB0 info" in COMMANDS, COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_command(tmp_path: Path, command: str) -> None:
    (tmp_path / "app.py").write_text("import socket\nprint(socket.gethostbyname('api.example'))\n")
    (tmp_path / "pin.txt").write_text("1234\n")
    url = sim_url(dns={"api.example": "192.0.2.7", "broker.example": "192.0.2.8"})
    words = [url if word == "/dev/ttyUSB0" else word for word in shlex.split(command)[1:]]
    process = subprocess.Popen(
        [sys.executable, "-m", "nbsocket", *words],
        cwd=tmp_path,
        env={**environment(), "NBSOCKET_PORT": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    output = ""
    if "--watch" in words or "--link" in words:
        output = process.stdout.readline()
        process.send_signal(signal.SIGINT)
    rest, error = process.communicate(timeout=60)
    code = next((code for piece, code in EXIT_CODES.items() if piece in command), 0)
    assert process.returncode == code, error
    assert output + rest + error and "Traceback" not in error


def python_blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)


def test_python_of_the_guides() -> None:
    """Each block runs as it stands; README's, which python.md repeats, runs in test_cli_examples."""
    blocks = [
        block
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for block in python_blocks(str(page.relative_to(ROOT)))
        if block not in python_blocks("README.md")
    ]
    assert len(blocks) >= 2
    with nbsocket.Modem(sim_url()) as modem, tcp_server(echo) as port:
        for block in blocks:
            with nbsocket.socket(modem=modem) as sock:
                sock.connect(("192.0.2.7", port))
                sock.sendall(b"x")
                exec(compile(block, "a guide", "exec"), {"sock": sock, "nbsocket": nbsocket, "socket": socket})
