"""Runs the workers: each in a process of its own, killed when a test or the whole takes too long."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("_worker.py")
HOME = Path(__file__).parents[2]

#: Seconds that one test may take; the longest of them takes 20 on an idle machine.
TEST_LIMIT = 60.0
#: Seconds that all tests of one class may take.
CLASS_LIMIT = 600.0
#: The simulated module: as fast as it goes, for what is tested here is what programs see, not how long it takes.
PORT = "sim://?close_delay=0&port_hold=0"

_LOOK_INTERVAL = 0.05
_MAX_DETAIL = 20000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test in one run."""

    #: ``pass``, ``fail``, ``skip``, ``timeout`` or ``crash``
    kind: str
    detail: str = ""
    seconds: float = 0.0
    #: connections that the modem opened while it ran
    opens: int = 0


@dataclass(slots=True)
class ClassRun:
    """All tests of one class in one run."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Listing:
    """The test classes of a module, or why there are none."""

    classes: tuple[str, ...]
    skipped: str = ""


def list_classes(module: str) -> Listing:
    """Return the classes of a module of the ``test`` package."""
    events, _, tail = _run_worker([module], over_modem=False)
    for event in events:
        if event["event"] == "module":
            return Listing(tuple(event["classes"]), event["skipped"])
    return Listing((), f"cannot be imported: {tail.strip().splitlines()[-1] if tail.strip() else 'no output'}")


def run_class(module: str, class_name: str, *, over_modem: bool, left_out: Sequence[str] = ()) -> ClassRun:
    """Run the tests of a class; one that hangs or kills the process is noted, and the rest run in another process."""
    result = ClassRun()
    begin = time.monotonic()
    while True:
        left = CLASS_LIMIT - (time.monotonic() - begin)
        arguments = [module, class_name, *left_out, *result.outcomes]
        events, is_killed, tail = _run_worker(arguments, over_modem=over_modem, limit=max(left, 1.0))
        stuck = _collect(events, result)
        if not any(event["event"] == "end" for event in events) and stuck is None:
            result.outcomes["(process)"] = Outcome("crash", tail[-_MAX_DETAIL:])
        if stuck is None or left <= 0:
            break
        result.outcomes[stuck] = Outcome("timeout" if is_killed else "crash", tail[-_MAX_DETAIL:], TEST_LIMIT)
    result.seconds = time.monotonic() - begin
    return result


def _collect(events: list[dict[str, Any]], result: ClassRun) -> str | None:
    """Note the outcomes and return the test that never ended, if there is one."""
    running = None
    for event in events:
        if event["event"] == "start":
            running = event["test"]
        elif event["event"] == "stop":
            detail = event["detail"][-_MAX_DETAIL:]
            result.outcomes[event["test"]] = Outcome(event["outcome"], detail, event["seconds"], event["opens"])
            running = None
        elif event["event"] == "fixture" and event["detail"]:
            result.outcomes[event["test"]] = Outcome("fail", event["detail"])
    return running


def _run_worker(
    arguments: list[str], *, over_modem: bool, limit: float = TEST_LIMIT
) -> tuple[list[dict[str, Any]], bool, str]:
    """Return the worker's events, whether it had to be killed, and the end of what it printed."""
    folder = tempfile.mkdtemp(prefix="nbsocket-cpython-")
    try:
        output, printed = Path(folder, "events"), Path(folder, "printed")
        output.touch()
        work = Path(folder, "work")
        work.mkdir()
        command = [sys.executable, *(_runner() if over_modem else []), str(WORKER), str(output), *arguments]
        with printed.open("wb") as sink:
            process = subprocess.Popen(
                command,
                cwd=work,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            is_killed = _watch(process, output, limit)
        tail = printed.read_text("utf-8", "replace")
        return [json.loads(line) for line in _whole_lines(output)], is_killed, tail
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runner() -> list[str]:
    return ["-m", "nbsocket", "--port", PORT, "run", "--bypass", "none"]


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBSOCKET_")}
    return {**environment, "PYTHONPATH": str(HOME), "PYTHONDONTWRITEBYTECODE": "1"}


def _whole_lines(output: Path) -> list[str]:
    text = output.read_text("utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _watch(process: subprocess.Popen[bytes], output: Path, limit: float) -> bool:
    """Wait for the process; kill its whole session when nothing was written for too long. Return whether it was."""
    end = time.monotonic() + limit
    size, quiet_since = 0, time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        if output.stat().st_size != size:
            size, quiet_since = output.stat().st_size, now
        if now >= end or now - quiet_since >= TEST_LIMIT:
            _dump(process)
            _kill(process)
            return True
        time.sleep(_LOOK_INTERVAL)
    _kill(process)
    return False


def _dump(process: subprocess.Popen[bytes]) -> None:
    """Have the worker print where its threads are (faulthandler handles SIGABRT), for the list of failures."""
    process.send_signal(signal.SIGABRT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the worker's session: children that its tests did not wait for."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
