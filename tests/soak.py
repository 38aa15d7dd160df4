"""``python -m tests.soak --minutes N``: real libraries, real servers, and faults every few seconds.

paho-mqtt that reconnects, requests over TLS, UDP telemetry and plain TCP run at once over one simulated module on a
pty; every few seconds something goes wrong. Each answer is compared with what was asked, both ends of each plain stream
with what the other said, and each call with its deadline. Once a minute, with everything idle, memory, threads and
descriptors are counted, no socket may be open in the module, and all five must be usable at once; the first round is
for warming up. The exit code is 0 when nothing was wrong and nothing grew.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from errno import errorcode
from itertools import combinations
from pathlib import Path
from random import Random

import nbsocket
from nbsocket._cli._demo_servers import make_certificates, start_broker, start_http
from nbsocket.sim import Fault, Options, Simulator
from nbsocket.sim._loopback import MAX_GHOSTS
from tests.helpers import udp_server
from tests.soak_work import FAR, DatagramLog, StreamServer, Tally, Work

#: Seconds of work between two counts; the rest of the minute is for coming to rest.
ROUND = 50.0

#: Seconds in which everything must work again when the faults have stopped, and in which everything comes to rest.
RECOVERY = 180.0
REST = 30.0

MIB = 1024 * 1024

#: Kinds of violations, and rounds, that the table shows.
MOST_SHOWN, ROUNDS_SHOWN = 20, 15
#: Characters of what a failure said.
SAID_SHOWN = 110

#: What may be more in any later round than in the first: the allocator's own, and the sockets of the simulated module
#: (which restarted and has told its peers nothing) and of the servers that speak to them. nbsocket's own descriptors
#: are the unix sockets and the files: none of them.
SLACK = {"memory": 12 * MIB, "threads": 2 * MAX_GHOSTS, "unix": 0, "inet": 3 * MAX_GHOSTS, "files": 0}

#: Growth of memory a round that is a leak, over the median of all pairs of rounds, when there are enough of them.
LEAK, ENOUGH_ROUNDS = 128 * 1024, 10

FAULTS: dict[str, Callable[[Random], Fault]] = {
    "connection closed": lambda dice: Fault("closed", socket_id=dice.randrange(5)),
    "module restarts": lambda dice: Fault("restart"),
    "port vanishes": lambda dice: Fault("hang_up"),
    "command refused": lambda dice: Fault("error", times=dice.randint(1, 3)),
    "command unanswered": lambda dice: Fault("silence"),
    "final result lost": lambda dice: Fault("silence_final"),
    "answer late": lambda dice: Fault("late", delay=dice.uniform(0.1, 6.0)),
    "send fails": lambda dice: Fault("send_fail", match="QISEND"),
    "send fails, though carried out": lambda dice: Fault("send_fail", match="QISEND", is_carried_out=True),
    "open fails": lambda dice: Fault("result", match="QIOPEN", code=dice.choice((565, 566, 570))),
    "bytes lost downwards": lambda dice: Fault("drop", offset=dice.randrange(2000), size=dice.randint(1, 9)),
    "bytes lost upwards": lambda dice: Fault("drop", direction="up", offset=dice.randrange(2000)),
    "bytes made up": lambda dice: Fault("insert", data=dice.randbytes(dice.randint(1, 9)), offset=dice.randrange(2000)),
    "stray line": lambda dice: Fault(
        "emit", data=dice.choice((b"\r\nOK\r\n", b"\r\nSEND OK\r\n", b"\r\nCLOSE OK\r\n"))
    ),
    "registration lost": lambda dice: Fault("deregister"),
}


@dataclass
class Count:
    """What there is of everything, with nothing to do."""

    minutes: float
    memory: int
    threads: int
    #: Descriptors: nbsocket's own pairs, those of the simulated module and the servers, and the rest.
    unix: int
    inet: int
    files: int


@dataclass
class Report:
    """What came of it."""

    tally: Tally = field(default_factory=Tally)
    rounds: list[Count] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    #: The fault before a work's first failure, and the seconds from that failure to its next success.
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    last_fault: str = "none"


class Worker:
    """One kind of work, again and again on a thread of its own until it is told to stop."""

    def __init__(self, name: str, once: Callable[[], None], report: Report) -> None:
        """Begin."""
        self.name, self._once, self._report = name, once, report
        self._stop = threading.Event()
        self._broken: tuple[float, str] | None = None
        self.last_success = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being done and end."""
        self._stop.set()
        self._thread.join(RECOVERY)
        if self._thread.is_alive():
            self._report.tally.violations.append(f"{self.name} hangs")

    def _run(self) -> None:
        tally = self._report.tally
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._once()
            except AssertionError as error:
                tally.violations.append(f"{self.name}: {error}")
            except OSError as error:
                what = f"{self.name}: {type(error).__name__} {errorcode.get(error.errno or 0, '')}".rstrip()
                tally.failed[what] += 1
                tally.said.setdefault(what, str(error))
                self._broken = self._broken or (time.monotonic(), self._report.last_fault)
                self._stop.wait(0.2)
            except Exception as error:
                tally.violations.append(f"{self.name}: {error!r}")
            else:
                tally.done[self.name] += 1
                tally.longest[self.name] = max(tally.longest.get(self.name, 0.0), time.monotonic() - began)
                self._succeeded(began)

    def _succeeded(self, began: float) -> None:
        self.last_success = began
        if self._broken is not None:
            since, fault = self._broken
            self._report.recoveries[fault].append(time.monotonic() - since)
            self._broken = None


class Soak:
    """The stage and what happens on it."""

    def __init__(self, stack: ExitStack, seed: int) -> None:
        """Start module, servers and modem."""
        self.report = Report()
        self.began = time.monotonic()
        tally = self.report.tally
        self._dice = Random(seed)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ca, certificate = make_certificates(folder, FAR)
        ports = {
            "mqtt": stack.enter_context(start_broker(folder, certificate)).port,
            "https": stack.enter_context(start_http(certificate)).port,
            "udp": stack.enter_context(udp_server(DatagramLog(tally).answer)),
            "tcp": stack.enter_context(StreamServer(tally)).port,
        }
        self._simulator = stack.enter_context(Simulator(Options(), link=str(folder / "tty")))
        self._modem = stack.enter_context(nbsocket.configure(str(folder / "tty")))
        nbsocket.patch(self._modem)
        stack.callback(nbsocket.unpatch)
        self._work = Work(tally, ca, ports, seed)

    def round(self, seconds: float) -> None:
        """Work for a while with faults, then until everything has worked without any, and count at rest."""
        workers = [Worker(name, once, self.report) for name, once in self._work.kinds().items()]
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._dice.uniform(2.0, 5.0)))
            if left > 5:
                self._do_harm()
        self._simulator.inject(Fault("register"))
        self._wait_for_success(workers)
        for worker in workers:
            worker.stop()
        self._use_every_socket()
        self.report.rounds.append(self._count())

    def _do_harm(self) -> None:
        name = self._dice.choice(list(FAULTS))
        self.report.faults[name] += 1
        self.report.last_fault = name
        self._simulator.inject(FAULTS[name](self._dice))
        if name == "port vanishes":
            time.sleep(self._dice.uniform(0.0, 1.0))
            self._simulator.plug_in()
        elif name == "registration lost":
            time.sleep(self._dice.uniform(0.0, 2.0))
            self._simulator.inject(Fault("register"))

    def _wait_for_success(self, workers: list[Worker]) -> None:
        """Each must have begun and ended one more work without a fault."""
        healed = time.monotonic()
        while late := [worker.name for worker in workers if worker.last_success < healed]:
            if time.monotonic() > healed + RECOVERY:
                self.report.tally.violations.append(f"{', '.join(late)} never worked again")
                return
            time.sleep(0.05)

    def _use_every_socket(self) -> None:
        # A fault about bytes may still wait for its byte, so the first try may fail.
        for tries in range(3):
            try:
                self._wait_for_sockets()
                self._work.use_every_socket()
            except OSError as error:
                if tries == 2:
                    self.report.tally.violations.append(f"not all five sockets of the module work: {error!r}")
            else:
                return

    def _wait_for_sockets(self) -> None:
        deadline = time.monotonic() + RECOVERY
        while time.monotonic() < deadline:
            with suppress(OSError):
                if not self._modem.sockets():
                    return
            time.sleep(0.1)
        self.report.tally.violations.append("sockets were left open in the module")

    def _count(self) -> Count:
        """Count what is there once it has come to rest."""
        self._wait_for_sockets()
        deadline = time.monotonic() + REST
        while True:
            gc.collect()  # sockets in cycles of the libraries
            trim()
            count = Count((time.monotonic() - self.began) / 60, resident(), threading.active_count(), *descriptors())
            if not self.report.rounds or not list(grown(self.report.rounds[0], count)) or time.monotonic() > deadline:
                return count
            time.sleep(0.5)

    def judge(self) -> None:
        """Look for growth from the first round on, and for a slope that is still inside the slack."""
        rounds = self.report.rounds
        for count in rounds[1:]:
            for sentence in grown(rounds[0], count):
                self.report.tally.violations.append(f"{sentence}, after {count.minutes:.0f} minutes")
        slope = slope_of([count.memory for count in rounds[1:]])
        if len(rounds) > ENOUGH_ROUNDS and slope > LEAK:
            self.report.tally.violations.append(f"memory grows by {slope / 1024:.0f} KiB a round")


def grown(first: Count, count: Count) -> Iterator[str]:
    """Tell what is more than the slack allows."""
    for name, slack in SLACK.items():
        growth = getattr(count, name) - getattr(first, name)
        if growth > slack:
            yield f"{name} grew by {growth} to {getattr(count, name)}"


def slope_of(values: list[int]) -> float:
    """Return the median growth a step of all pairs: one odd value changes nothing (Theil and Sen)."""
    pairs = combinations(enumerate(values), 2)
    return statistics.median([(two - one) / (later - sooner) for (sooner, one), (later, two) in pairs] or [0.0])


def resident() -> int:
    """Return the memory of this process that is in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Have the allocator give back what nobody uses: what is left is what is held."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def descriptors() -> tuple[int, int, int]:
    """Return how many unix sockets, other sockets and other files are open."""
    unix = {line.split()[6] for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]}
    kinds: Counter[str] = Counter()
    for fd in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{fd}")
            is_socket = target.startswith("socket:[")
            kinds["unix" if target[8:-1] in unix else "inet" if is_socket else "files"] += 1
    return kinds["unix"], kinds["inet"], kinds["files"]


def table(report: Report) -> str:
    """Write the figures as text."""
    tally, rounds = report.tally, report.rounds
    lines = [f"{rounds[-1].minutes:.1f} minutes, {len(rounds)} rounds, {sum(report.faults.values())} faults", ""]
    lines += ["work          done   failed    bytes up  bytes down  longest s"]
    for name in sorted(tally.done):
        failed = sum(count for what, count in tally.failed.items() if what.startswith(f"{name}:"))
        lines.append(
            f"{name:<10}{tally.done[name]:>8}{failed:>9}{tally.bytes_up[name]:>12}{tally.bytes_down[name]:>12}"
            f"{tally.longest[name]:>11.1f}"
        )
    lines += ["", "failures, and what the first of a kind said:"]
    lines += [f"{count:>6} {what}: {tally.said[what][:SAID_SHOWN]}" for what, count in tally.failed.most_common()]
    lines += [f"{tally.datagrams_lost:>6} answers to datagrams that did not come", ""]
    lines += ["fault                           times  recoveries  median s  worst s"]
    for name in sorted(FAULTS):
        lines.append(f"{name:<32}{report.faults[name]:>5}{recovery_row(report.recoveries.get(name, []))}")
    every = [seconds for several in report.recoveries.values() for seconds in several]
    lines += [f"{'all':<32}{sum(report.faults.values()):>5}{recovery_row(every)}", ""]
    lines += ["minutes   MiB   threads  own fds (unix, files)  the servers' and the module's"]
    step = max(1, len(rounds) // ROUNDS_SHOWN)
    for count in [*rounds[: len(rounds) - 1 : step], rounds[-1]]:
        own = f"{count.unix}, {count.files}"
        lines.append(f"{count.minutes:>7.1f}{count.memory / MIB:>7.1f}{count.threads:>8}{own:>15}{count.inet:>20}")
    slope = slope_of([count.memory for count in rounds[1:]])
    lines += [f"memory a round (median slope): {slope / 1024:+.1f} KiB", ""]
    lines += [f"violations: {len(tally.violations)}"]
    lines += [f"{times} x {what}" for what, times in Counter(tally.violations).most_common(MOST_SHOWN)]
    return "\n".join(lines)


def recovery_row(seconds: list[float]) -> str:
    """Write number, median and maximum."""
    if not seconds:
        return f"{0:>12}{'-':>10}{'-':>9}"
    return f"{len(seconds):>12}{statistics.median(seconds):>10.2f}{max(seconds):>9.2f}"


def main() -> int:
    """Soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    with ExitStack() as stack:
        soak = Soak(stack, options.seed)
        end = soak.began + 60.0 * options.minutes
        seconds = min(ROUND, 20.0 * options.minutes)
        while not soak.report.rounds or time.monotonic() + seconds < end:
            soak.round(seconds)
            faults, wrong = sum(soak.report.faults.values()), len(soak.report.tally.violations)
            print(f"{soak.report.rounds[-1]}, {faults} faults, {wrong} violations", file=sys.stderr, flush=True)
        soak.judge()
        print(table(soak.report), flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(asdict(soak.report), indent=1))
    return 1 if soak.report.tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
