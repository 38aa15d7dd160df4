"""The fixtures for users' tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys


def test_lazy():
    assert "nbsocket.sim" not in sys.modules


def test_modem(nb_modem):
    assert nb_modem.info().imei == "869000000000001"


def test_simulator(nb_simulator):
    assert nb_simulator.path.startswith("/dev/")
"""


def test_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(PROGRAM)
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "nbsocket.pytest_plugin", "-p", "no:cacheprovider", str(tmp_path)],
        # Named by -p alone: where nbsocket is installed, its entry point would load it a second time.
        env={**os.environ, "PYTHONPATH": root, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0 and "3 passed" in result.stdout, result.stdout + result.stderr
