"""The parts of the virtual machine's tests that need no machine: the gate between its serial device and the module."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import serial

from compat_tests.machine._gate import Gate
from compat_tests.machine._guest_tests import TESTS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gate() -> Iterator[Gate]:
    with closing(Gate()) as gate:
        yield gate


def ask(gate: Gate, rate: int, timeout: float) -> bytes:
    """What comes back on AT, for a guest at this rate; QEMU sets the pty as pyserial does here."""
    with serial.Serial(gate.path, baudrate=rate, timeout=timeout) as port:
        port.write(b"AT\r")
        return port.read_until(b"OK\r\n")


def test_module_answers_at_its_rate(gate: Gate) -> None:
    assert ask(gate, 115200, 10.0).endswith(b"OK\r\n")
    gate.set_module(baudrate=9600)
    assert ask(gate, 9600, 10.0).endswith(b"OK\r\n")


def test_another_rate_is_garbage(gate: Gate) -> None:
    gate.set_module(baudrate=9600)
    assert b"OK" not in ask(gate, 115200, 0.3)
    assert ask(gate, 9600, 10.0).endswith(b"OK\r\n"), "nothing of the garbage is left"


def test_silence(gate: Gate) -> None:
    gate.is_silent = True
    assert ask(gate, 115200, 0.3) == b""
    gate.is_silent = False
    assert ask(gate, 115200, 10.0).endswith(b"OK\r\n")


def test_every_test_has_a_name_of_its_own() -> None:
    names = [test.name for test in TESTS]
    assert len(set(names)) == len(names) > 30


def test_tools_that_are_missing_are_named(tmp_path: Path) -> None:
    """Exit code 77, and nothing is made."""
    command = (sys.executable, "-m", "compat_tests.machine", "--work", str(tmp_path / "work"))
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 77
    assert "apt-get install qemu-system-x86 debootstrap cpio" in done.stderr
    assert not (tmp_path / "work").exists()
