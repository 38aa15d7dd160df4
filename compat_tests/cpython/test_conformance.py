"""The fixed part of CPython's network tests: ``python -m compat_tests.cpython`` runs all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compat_tests.cpython._selection import has_tests

#: Tests that must go over the modem.
LEAST = 400

#: Seconds for the part; it takes about 100 on two idle cores.
TIME_BOUND = 900


@pytest.mark.timeout(TIME_BOUND + 30)
@pytest.mark.skipif(not has_tests(), reason="this python comes without CPython's tests")
def test_the_part_of_continuous_integration() -> None:
    """Nothing fails that is not listed, nothing that is listed passes, and enough goes over the modem."""
    done = subprocess.run(
        [sys.executable, "-m", "compat_tests.cpython", "--part", "--least", str(LEAST)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_BOUND,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
