"""Counts Python calls on the engine's thread: ``python benchmarks/_path_app.py``, in a process of its own.

It uses nothing but the public names of ``nbsocket`` and ``nbsocket.sim``, so that it runs on any version:
``PYTHONPATH=/path/to/a/checkout python benchmarks/_path_app.py --verbose``. Without ``--verbose`` it prints JSON.

Theory of operation: the simulated modem is the pure object (:class:`nbsocket.sim.Module`) behind a pseudo-terminal, run
by a thread with a clock of its own. Whatever the host writes, that clock is put forward until the modem has nothing
more to say, and the whole answer goes out in one write. So the engine reads each answer in one piece, at once, no timer
of its own comes due in between, and the counts are the same in every run.

What counts: each ``call`` event of :func:`sys.setprofile` on the engine's thread, that is each time a Python function,
method, lambda, property or comprehension begins and each time a generator goes on; not what is written in C. Counted is
everything from the step's beginning until the thread sleeps again, the wake-up included.
"""

from __future__ import annotations

import _thread
import argparse
import json
import os
import pty
import select
import statistics
import sys
import sysconfig
import threading
import time
import tty
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

#: Seconds of real time without a call after which a step is over, and the longest that one may take.
QUIET_TIME = 0.15
LONGEST_STEP = 20.0

#: Seconds on the modem's clock without a word after which it has nothing more to say.
SILENCE = 1.0

#: The first time that anything happens, caches are filled.
WARM_UP, REPEATS = 1, 3

ADDRESS = ("192.0.2.1", 7000)

#: Where a function stands: file and name.
Place = tuple[str, str]


class Calls:
    """Counts the calls on the engine's thread; to be made before nbsocket is imported."""

    def __init__(self) -> None:
        #: By thread: another one of the library's writes log messages.
        self._counts: dict[int, Counter[Place]] = {}
        self._places: dict[CodeType, Place] = {}
        self._engine: int | None = None
        self._genuine_start = _thread.start_new_thread
        # The library starts its threads with this, as ``threading`` is not to know them; threading.Thread has its own
        # reference.
        _thread.start_new_thread = self._start  # type: ignore[assignment]  # keyword arguments are left out

    def _start(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> int:
        def run() -> None:
            counts = self._counts[_thread.get_ident()] = Counter()
            places = self._places

            def note(frame: FrameType, event: str, argument: Any) -> None:
                if event == "call":
                    code = frame.f_code
                    if code not in places:
                        # With the class from Python 3.11 on.
                        places[code] = (code.co_filename, getattr(code, "co_qualname", code.co_name))
                    counts[places[code]] += 1

            sys.setprofile(note)
            function(*arguments)

        return self._genuine_start(run, ())

    def take(self) -> Counter[Place]:
        """Wait until nothing has been called for a while; return what was since the last time."""
        deadline = time.monotonic() + LONGEST_STEP
        counted: Counter[Place] = Counter()
        total = -1
        while total != (total := sum(sum(counts.copy().values()) for counts in self._counts.values())):
            if time.monotonic() > deadline:
                raise RuntimeError("the engine does not come to rest")
            time.sleep(QUIET_TIME)
        if self._engine is None:
            # Nothing has been logged yet.
            (self._engine,) = self._counts
        counted = self._counts[self._engine].copy()
        self._counts[self._engine].clear()
        return counted


class Line:
    """The modem at the end of a pseudo-terminal."""

    def __init__(self) -> None:
        from nbsocket.sim import ModelNetwork, Module, Options

        self._now = 1000.0
        self.network = ModelNetwork()
        self._modem = Module(Options(), self.network, self._now)
        self._fd, self._keeper = pty.openpty()
        tty.setraw(self._keeper)
        self.path = os.ttyname(self._keeper)
        self._work: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        threading.Thread(target=self._run, name="modem", daemon=True).start()

    def restart(self) -> None:
        """Let the modem restart by itself, as after a brown-out."""
        self._do(lambda: self._modem.power_on(self._now))

    def send(self, data: bytes) -> None:
        """Let the peer of the last connection send."""
        self._do(lambda: self.network.connections[-1].send(data))

    def _do(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        while True:
            ready = select.select([self._fd, self._wake_read], [], [])[0]
            if self._wake_read in ready:
                os.read(self._wake_read, 1)
                self._work.popleft()()
            if self._fd in ready:
                self._modem.receive_data(os.read(self._fd, 65536), self._now)
            answer = self._answer()
            if answer:
                os.write(self._fd, answer)

    def _answer(self) -> bytes:
        answer = bytearray()
        end = self._now + SILENCE
        while True:
            said = self._modem.data_to_send(self._now)
            if said:
                answer += said
                end = self._now + SILENCE
            due = self._modem.next_deadline()
            if due is None or due > end:
                return bytes(answer)
            self._now = max(self._now, due)
            self._modem.handle_timeout(self._now)


def measure() -> dict[str, list[Counter[Place]]]:
    """Go through the steps again and again; return what each one called, a counter for every time."""
    calls = Calls()
    import nbsocket

    line = Line()
    steps: dict[str, list[Counter[Place]]] = {}

    def step(name: str, action: Callable[[], object]) -> None:
        calls.take()
        action()
        steps.setdefault(name, []).append(calls.take())

    with nbsocket.Modem(line.path) as modem:
        modem.wait_attached(30)
        for _ in range(WARM_UP + REPEATS):
            sock = nbsocket.socket(modem=modem)
            sock.settimeout(LONGEST_STEP)
            step("connect", lambda: sock.connect(ADDRESS))
            step("send", lambda: sock.sendall(b"x"))
            step("receive", lambda: (line.send(b"y"), sock.recv(1)))
            step("close", sock.close)
            two = [nbsocket.socket(modem=modem) for _ in range(2)]
            for each in two:
                each.settimeout(LONGEST_STEP)
                each.connect(ADDRESS)
            step("restart", line.restart)
            for each in two:
                each.close()
    return {name: counters[WARM_UP:] for name, counters in steps.items()}


def folder_of(place: Place) -> str:
    """Return the part of the library that a function belongs to: a folder, a file beside the folders, or neither."""
    parts = Path(place[0]).parts
    if "nbsocket" in parts:
        inside = parts[len(parts) - parts[::-1].index("nbsocket") :]
        return inside[0].removesuffix(".py")
    return "standard library" if place[0].startswith((sysconfig.get_path("stdlib"), "<")) else "other"


def summary(counters: list[Counter[Place]]) -> dict[str, Any]:
    """Return one step's figures: the median of all times, and what was called in a time that had it."""
    totals = [counter.total() for counter in counters]
    middle = sorted(counters, key=Counter.total)[len(counters) // 2]
    folders: Counter[str] = Counter()
    for place, count in middle.items():
        folders[folder_of(place)] += count
    functions = [
        {"function": f"{folder_of(place)}/{Path(place[0]).name} {place[1]}", "calls": count}
        for place, count in sorted(middle.items(), key=lambda item: (-item[1], item[0]))
    ]
    return {
        "calls": statistics.median_high(totals),
        "all": totals,
        "folders": dict(folders.most_common()),
        "functions": functions,
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Count Python calls on the engine's thread.")
    parser.add_argument("--verbose", action="store_true", help="show functions, not JSON")
    parser.add_argument("--top", type=int, default=25, metavar="N", help="so many functions a step (%(default)s)")
    options = parser.parse_args()
    steps = {name: summary(counters) for name, counters in measure().items()}
    if not options.verbose:
        print(json.dumps(steps), flush=True)
        return
    for name, figures in steps.items():
        print(f"{name}: {figures['calls']} calls {figures['all']}")
        print("  " + ", ".join(f"{folder} {count}" for folder, count in figures["folders"].items()))
        for row in figures["functions"][: options.top]:
            print(f"  {row['calls']:5} {row['function']}")


if __name__ == "__main__":
    main()
