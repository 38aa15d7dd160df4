"""Counts Python calls on the engine's thread: ``python benchmarks/_path_app.py``, in a process of its own.

It uses nothing but the public names of ``nbsocket`` and ``nbsocket.sim``, so that it runs on any version:
``PYTHONPATH=/path/to/a/checkout python benchmarks/_path_app.py --verbose``. Without ``--verbose`` it prints JSON.

Theory of operation: the simulated modem is the pure object (:class:`nbsocket.sim.Module`) behind a pseudo-terminal, run
by a thread with a clock of its own. Whatever the host writes, that clock is put forward until the modem has nothing
more to say. What it says at one moment goes out in one write, and the next thing when the engine has come to rest. So
the engine reads the same pieces in every run, no timer of its own comes due in between, and the counts are the same.
What the program does in one call (it shuts a descriptor down and wakes the engine) the engine sees at once
(:class:`Gate`): otherwise it is chance whether that takes one round or two.

What counts: each ``call`` event of :func:`sys.setprofile` on the engine's thread, from the step's beginning until the
thread sleeps again, the wake-up included. A *call* is that of a function, a method, a lambda or a property; frames of
comprehensions, and each time that a generator goes on, are told apart, for Python 3.12 and later have fewer of them.
What is written in C has no such event.
"""

from __future__ import annotations

import _thread
import argparse
import json
import logging
import os
import pty
import select
import sys
import sysconfig
import threading
import time
import tty
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Protocol

#: Seconds of real time without a call after which a step is over; the same between two things that the modem says; and
#: the longest that a step may take.
QUIET_TIME, PIECE_TIME, LONGEST_STEP = 0.1, 0.02, 20.0

#: Seconds between two looks whether a closed gate has opened.
POLL_TIME = 0.001

#: Seconds on the modem's clock without a word after which it has nothing more to say.
SILENCE = 5.0

#: The first time that anything happens, caches are filled.
WARM_UP, REPEATS = 1, 3

ADDRESS = ("192.0.2.1", 7000)

#: What a round of the engine goes through; the figures are about these.
FOLDERS = ("_engine", "_channel", "_driver", "_at")

#: Where a function stands: file and name.
Place = tuple[str, str]


class Calls:
    """Counts the calls on the engine's thread; to be made before nbsocket is imported."""

    def __init__(self) -> None:
        self._counts: dict[int, Counter[Place]] = {}
        self._places: dict[CodeType, Place] = {}
        self._genuine_start = _thread.start_new_thread
        # The library starts its threads with this, as ``threading`` is not to know them; threading.Thread has its own
        # reference.
        _thread.start_new_thread = self._start  # type: ignore[assignment]  # keyword arguments are left out

    def _start(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> int:
        def run() -> None:
            counts = self._counts[_thread.get_ident()] = Counter()
            places = self._places

            def note(frame: FrameType, event: str, argument: Any) -> None:
                code = frame.f_code
                # What this file puts in between (the gate) is no part of the path.
                if event == "call" and code.co_filename != __file__:
                    if code not in places:
                        # With the class from Python 3.11 on.
                        places[code] = (code.co_filename, getattr(code, "co_qualname", code.co_name))
                    counts[places[code]] += 1

            sys.setprofile(note)
            function(*arguments)

        return self._genuine_start(run, ())

    def rest(self, quiet: float = PIECE_TIME) -> None:
        """Wait until nothing has been called for so many seconds."""
        deadline = time.monotonic() + LONGEST_STEP
        total = -1
        while total != (total := sum(sum(counts.copy().values()) for counts in self._counts.copy().values())):
            if time.monotonic() > deadline:
                raise RuntimeError("the engine does not come to rest")
            time.sleep(quiet)

    def take(self) -> Counter[Place]:
        """Wait until a step is over; return what was called since the last time."""
        self.rest(QUIET_TIME)
        (counts,) = self._counts.values()  # of one thread: there is no other as long as nothing is logged
        taken = counts.copy()
        counts.clear()
        return taken


class Gate:
    """Lets what waits with epoll see nothing for a while; to be made before nbsocket is imported."""

    is_closed = False

    def __init__(self) -> None:
        gate, genuine = self, select.epoll

        class GatedEpoll:
            """One that looks once more when the gate has opened."""

            def __init__(self) -> None:
                self._epoll = genuine()

            def poll(self, timeout: float = -1) -> list[tuple[int, int]]:
                found = self._epoll.poll(timeout)
                if gate.is_closed:
                    while gate.is_closed:
                        time.sleep(POLL_TIME)
                    found = self._epoll.poll(0)
                return found

            def __getattr__(self, name: str) -> Any:
                return getattr(self._epoll, name)

        select.epoll = GatedEpoll  # type: ignore[assignment, misc]  # nothing else of it is used

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Keep it closed for the time of the block, which must not wait for the engine."""
        self.is_closed = True
        try:
            yield
        finally:
            self.is_closed = False


class Line:
    """The modem at the end of a pseudo-terminal."""

    def __init__(self, rest: Callable[[], None]) -> None:
        """Start it; ``rest`` waits until the engine is at rest."""
        from nbsocket.sim import ModelNetwork, Module, Options

        self._rest = rest
        self._now = 1000.0
        self._network = ModelNetwork()
        self._modem = Module(Options(), self._network, self._now)
        self._fd, self._keeper = pty.openpty()
        tty.setraw(self._keeper)
        self.path = os.ttyname(self._keeper)
        self._is_deaf = False
        self._work: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe()
        threading.Thread(target=self._run, name="modem", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Let the peer of the last connection send."""
        self._do(lambda: self._network.connections[-1].send(data))

    def restart(self) -> None:
        """Let the modem restart by itself, as after a brown-out, and answer nothing until :meth:`listen`."""
        self._do(self._go_deaf)

    def _go_deaf(self) -> None:
        self._is_deaf = True
        self._modem.power_on(self._now)

    def listen(self) -> None:
        """Let the modem read and answer what was written since the restart."""
        self._do(self._go_on)

    def _go_on(self) -> None:
        self._is_deaf = False

    def _do(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        while True:
            ready = select.select([self._wake_read] if self._is_deaf else [self._wake_read, self._fd], [], [])[0]
            if self._wake_read in ready:
                os.read(self._wake_read, 1)
                self._work.popleft()()
            if self._fd in ready:
                # A modem takes its time, too: an answer that is there within the same round would save one.
                self._rest()
                self._modem.receive_data(os.read(self._fd, 65536), self._now)
            self._speak()

    def _speak(self) -> None:
        end = self._now + SILENCE
        while True:
            said = self._modem.data_to_send(self._now)
            if said:
                os.write(self._fd, said)
                self._rest()
                end = self._now + SILENCE
            due = self._modem.next_deadline()
            if due is None or due > end:
                return
            self._now = max(self._now, due)
            self._modem.handle_timeout(self._now)


class Step(Protocol):
    """Does something and notes what the engine's thread has called for it."""

    def __call__(self, name: str, action: Callable[[], object], *, is_waiting: bool = False) -> None:
        """Do ``action``; ``is_waiting``: it waits for the engine."""


def measure(repeats: int = REPEATS) -> dict[str, list[Counter[Place]]]:
    """Go through the steps again and again; return what each one called, a counter for every time."""
    calls, gate = Calls(), Gate()
    # As long as the program wants no messages, they cost nothing but the question whether it does.
    logging.disable(logging.CRITICAL)
    import nbsocket

    line = Line(calls.rest)
    steps: dict[str, list[Counter[Place]]] = {}

    def step(name: str, action: Callable[[], object], *, is_waiting: bool = False) -> None:
        calls.take()
        with nullcontext() if is_waiting else gate.closed():
            action()
        steps.setdefault(name, []).append(calls.take())

    with nbsocket.Modem(line.path) as modem:
        modem.wait_attached(LONGEST_STEP)
        for _ in range(WARM_UP + repeats):
            _use_one(_open_sockets(modem, 1)[0], line, step)
            _restart_with(_open_sockets(modem, 2), line, step)
    return {name: counters[WARM_UP:] for name, counters in steps.items()}


def _open_sockets(modem: Any, count: int) -> list[Any]:
    import nbsocket

    sockets = [nbsocket.socket(modem=modem) for _ in range(count)]
    for sock in sockets:
        sock.settimeout(LONGEST_STEP)
    return sockets


def _use_one(sock: Any, line: Line, step: Step) -> None:
    def receive() -> None:
        line.send(b"y")
        sock.recv(1)

    step("connect", lambda: sock.connect(ADDRESS), is_waiting=True)
    step("send", lambda: sock.sendall(b"x"))
    step("receive", receive, is_waiting=True)
    step("close", sock.close)


def _restart_with(sockets: list[Any], line: Line, step: Step) -> None:
    for sock in sockets:
        sock.connect(ADDRESS)
    step("restart", line.restart)
    step("set-up", line.listen)
    for sock in sockets:
        sock.close()


def folder_of(place: Place) -> str:
    """Return the part of the library that a function belongs to: a folder, or a file beside the folders."""
    parts = Path(place[0]).parts
    if "nbsocket" in parts:
        inside = parts[len(parts) - parts[::-1].index("nbsocket") :]
        return inside[0].removesuffix(".py")
    return "standard library" if place[0].startswith((sysconfig.get_path("stdlib"), "<")) else "other"


def is_function(place: Place) -> bool:
    """Whether it is no comprehension or generator expression."""
    name = place[1].rpartition(".")[2]
    return name == "<lambda>" or not name.startswith("<")


def summary(counters: list[Counter[Place]]) -> dict[str, Any]:
    """Return one step's figures: the least count of all times, and what was called in the time that had it.

    A machine that stalls for longer than one of the driver's timers only adds calls.
    """

    def calls_of(counter: Counter[Place]) -> int:
        return sum(count for place, count in counter.items() if is_function(place) and folder_of(place) in FOLDERS)

    least = min(counters, key=calls_of)
    folders: Counter[str] = Counter()
    for place, count in least.items():
        folders[folder_of(place) if is_function(place) else "comprehensions"] += count
    functions = [
        {"function": f"{folder_of(place)}/{Path(place[0]).name} {place[1]}", "calls": count}
        for place, count in sorted(least.items(), key=lambda item: (-item[1], item[0]))
    ]
    totals = [calls_of(counter) for counter in counters]
    return {
        "calls": min(totals),
        "repetitions": totals,
        "all": sum(least.values()),
        "folders": dict(folders.most_common()),
        "functions": functions,
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Count Python calls on the engine's thread.")
    parser.add_argument("--verbose", action="store_true", help="show functions, not JSON")
    parser.add_argument("--top", type=int, default=25, metavar="N", help="so many functions a step (%(default)s)")
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N", help="measure so often (%(default)s)")
    options = parser.parse_args()
    steps = {name: summary(counters) for name, counters in measure(options.repeats).items()}
    if not options.verbose:
        print(json.dumps(steps), flush=True)
        return
    for name, figures in steps.items():
        repetitions = " ".join(map(str, figures["repetitions"]))
        print(f"{name}: {figures['calls']} calls in {', '.join(FOLDERS)} ({repetitions}), {figures['all']} in all")
        print("  " + ", ".join(f"{folder} {count}" for folder, count in figures["folders"].items()))
        for row in figures["functions"][: options.top]:
            print(f"  {row['calls']:5} {row['function']}")


if __name__ == "__main__":
    main()
