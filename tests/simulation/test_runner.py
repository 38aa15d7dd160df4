"""The runner: several processes give what one gives, and neither an interrupt nor a crash loses what was run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

#: Seeds that take a while: enough for an interrupt to come in the middle.
MANY = "1000000"

CRASH = """
import os
from tests.simulation import runner
from tests.simulation.__main__ import main

run_seed = runner.run_seed
runner.run_seed = lambda seed, model: os._exit(9) if seed == 45 else run_seed(seed, model)
raise SystemExit(main())
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def totals_of(path: Path, jobs: int) -> Any:
    process = start("-m", "tests.simulation", "--seeds", "50", "--jobs", str(jobs), "--json", str(path))
    output, errors = process.communicate()
    assert process.returncode == 0 and "violations: 0" in output, output + errors
    totals = json.loads(path.read_text())
    return totals | {"seconds": 0, "virtual_seconds": round(totals["virtual_seconds"], 3)}


@pytest.mark.timeout(120)
def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    totals = totals_of(tmp_path / "one", 1)
    assert totals["schedules"] == 50
    assert totals_of(tmp_path / "two", 2) == totals


@pytest.mark.timeout(120)
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupt_ends_it_with_the_figures_so_far(tmp_path: Path, jobs: str) -> None:
    # Seeds that fail are told at once, so that there is something to wait for.
    script = (
        "from tests.simulation import runner, __main__\n"
        "from tests.simulation.runner import Totals\n"
        "runner.run_seed = lambda seed, model: Totals(schedules=1, failures=[(seed, 'x', 'fails')])\n"
        "raise SystemExit(__main__.main())"
    )
    process = start("-c", script, "--seeds", MANY, "--jobs", jobs)
    assert process.stdout is not None
    assert process.stdout.readline() == "seed 0: fails\n" or jobs == "2"
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130, output + errors
    assert "violations: " in output and "Traceback" not in errors, errors


@pytest.mark.timeout(120)
def test_process_that_dies_is_told_of() -> None:
    process = start("-c", CRASH, "--seeds", "200", "--jobs", "2")
    output, errors = process.communicate()
    assert process.returncode == 1, output + errors
    assert "a process died at one of the seeds" in output and "40 to 59" in output
    assert "violations: 0" in output and "Traceback" not in errors, errors
