"""Many modems in one process: processor time and memory of each, and of their idle connections; start-up time.

The simulated modules and the servers run in processes of their own, so that what is measured is nbsocket alone. Memory
is the growth of the resident size from one stage to the next, in one process that opens modem after modem, because what
the first one brings in (code, tables) is not the price of each; Python's own allocations, counted in another run, show
how much of it is Python objects. Processor time is that of the measured process, over lines paced at 115200 baud.

Start-up time is that of whole processes, which take turns with plain Python's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks._bench import Process, ServersProcess, SimulatorProcess
from benchmarks._report import Effort, Row, compared, judged

GROUP = "scale"

MODEMS = (1, 4, 16)
CONNECTIONS = 5

#: To reach.
MEMORY_A_MODEM = 2_000_000
MEMORY_A_CONNECTION = 65536
FLATNESS = 0.2
STARTUP_MS = 60.0
#: Times what a program that imports socket and ssl takes.
IMPORT_RATIO, RUN_RATIO = 1.8, 5.5
#: MiB beyond the program alone.
RUN_MEMORY = 10.0

_ROUND_SIZE = 16384


def run(effort: Effort) -> Iterator[Row]:
    """Measure processor time, memory and start-up."""
    yield from _startup(effort)
    with ServersProcess() as servers:
        yield from _memory(effort, servers)
        yield from _processor(effort, servers)


# -- processor time


def _processor(effort: Effort, servers: ServersProcess) -> Iterator[Row]:
    size = 1024 if effort.is_quick else 4096
    found: dict[int, list[float]] = {count: [] for count in MODEMS}
    shares: dict[int, list[float]] = {count: [] for count in MODEMS}
    for _ in range(1 if effort.is_quick else 3):
        for count in MODEMS:
            cpu, seconds, simulators = _exchange(count, size, servers)
            found[count].append(1000 * cpu / count)
            shares[count].append(simulators / seconds)
    for count in MODEMS:
        note = (
            f"{CONNECTIONS} connections, {size} bytes up and down each; "
            f"the simulators used {statistics.median(shares[count]):.0%} of a core"
        )
        # Less is no fault: what one process does but once is shared by more modems.
        target = {} if count == 1 else {"at_most": 1 + FLATNESS}
        yield compared(
            GROUP,
            f"processor time a modem, {count} modems" if count > 1 else "processor time of 1 modem",
            found[count],
            "ms",
            None if count == 1 else found[1],
            "" if count == 1 else "of 1 modem",
            note=note,
            **target,
        )


def _exchange(count: int, size: int, servers: ServersProcess) -> tuple[float, float, float]:
    with ExitStack() as stack:
        simulators = stack.enter_context(_simulators(count, "baudrate=115200"))
        app = stack.enter_context(Process(["-m", "benchmarks._scale_app"]))
        app.ask(do="open", ports=simulators.hello)
        app.ask(do="connect", port=servers.port("TCP", "echo"), count=CONNECTIONS)
        app.ask(do="exchange", size=64)
        used = simulators.cpu()
        answer = app.ask(do="exchange", size=size)
        used = simulators.cpu() - used
        app.ask(do="close")
    return answer["cpu"], answer["seconds"], used


def _simulators(count: int, *options: str) -> Process:
    return Process(["-m", "benchmarks._many_simulators", str(count), *options])


# -- memory


def _memory(effort: Effort, servers: ServersProcess) -> Iterator[Row]:
    rounds = 1 if effort.is_quick else 4
    plain, traced = _stages(servers, rounds), _stages(servers, rounds, "trace")
    yield from _memory_of_modems(plain, traced)
    total = MODEMS[-1] * CONNECTIONS
    carried = rounds * _ROUND_SIZE // 1024
    used = f"an idle connection that has carried {carried} KiB each way"
    for stage, what in (("connected", "an idle connection"), ("used", used)):
        grown = (plain[stage]["rss"] - plain["16"]["rss"]) / total
        objects = (traced[stage]["traced"] - traced["16"]["traced"]) / total
        yield judged(
            GROUP,
            f"memory of {what}, {total} of them",
            grown / 1024,
            "KiB",
            at_most=MEMORY_A_CONNECTION / 1024,
            note=f"Python objects {objects / 1024:.1f} KiB",
        )
    buffers = (plain["connected"]["kernel"] - plain["16"]["kernel"]) / total
    yield judged(
        GROUP,
        "socket buffers of the kernel that a connection may fill",
        buffers / 1024,
        "KiB",
        note="SO_SNDBUF and SO_RCVBUF of its socket pair; none of it is used while it is idle",
    )


def _memory_of_modems(plain: dict[str, Any], traced: dict[str, Any]) -> Iterator[Row]:
    steps = list(zip(("0", "1", "4"), ("1", "4", "16"), strict=True))
    objects = {}
    package = plain["0"]["rss"] - plain["plain"]["rss"]
    yield judged(GROUP, "memory of the package itself, loaded", package / 1e6, "MB", note="once a process")
    for before, after in steps:
        count = int(after) - int(before)
        grown = (plain[after]["rss"] - plain[before]["rss"]) / count
        objects[after] = (traced[after]["traced"] - traced[before]["traced"]) / count
        threads = (plain[after]["threads"] - plain[before]["threads"]) / count
        what = "memory of the first modem" if count == 1 else f"memory a modem, from {before} to {after} of them"
        note = f"Python objects {objects[after] / 1024:.0f} KiB; {threads:g} threads"
        yield judged(GROUP, what, grown / 1e6, "MB", at_most=MEMORY_A_MODEM / 1e6, note=note)
    yield judged(
        GROUP,
        "Python objects a modem, from 4 to 16 of them",
        objects["16"] / 1024,
        "KiB",
        reference=objects["4"] / 1024,
        reference_name="from 1 to 4",
        at_least=1 - FLATNESS,
        at_most=1 + FLATNESS,
    )


def _stages(servers: ServersProcess, rounds: int, *arguments: str) -> dict[str, Any]:
    """Open modem after modem, then connections, then use them; return what is in use at each stage."""
    with _simulators(MODEMS[-1]) as simulators, Process(["-m", "benchmarks._scale_app", *arguments]) as app:
        app.ask(do="measure")
        stages = {"plain": app.ask(do="measure")}
        app.ask(do="load")
        stages["0"] = app.ask(do="measure")
        done = 0
        for count in MODEMS:
            app.ask(do="open", ports=simulators.hello[done:count])
            done = count
            stages[str(count)] = app.ask(do="measure")
        app.ask(do="connect", port=servers.port("TCP", "echo"), count=CONNECTIONS)
        stages["connected"] = app.ask(do="measure")
        for _ in range(rounds):
            app.ask(do="exchange", size=_ROUND_SIZE)
        stages["used"] = app.ask(do="measure")
        app.ask(do="close")
    return stages


# -- start-up

_PROGRAM = "import socket\n"
#: Tells the most KiB that its process had resident. Not getrusage(): that counts the process that started it, too.
_MEMORY_PROGRAM = _PROGRAM + "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])\n"


def _startup(effort: Effort) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, SimulatorProcess() as simulator:
        program = Path(folder) / "program.py"
        program.write_text(_PROGRAM, encoding="utf-8")
        over_modem = ["-m", "nbsocket", "--port", simulator.port, "--baudrate", "115200", "run", str(program)]
        commands = {
            "plain": ["-c", "pass"],
            "import": ["-c", "import nbsocket"],
            "program": [str(program)],
            "run": over_modem,
        }
        empty = Path(folder) / "empty.py"
        empty.write_text("", encoding="utf-8")
        commands |= {"sockets": ["-c", "import socket, ssl"], "empty": [*over_modem[:-1], str(empty)]}
        times, used = _times_in_turn(commands, 5 if effort.is_quick else 31)
        for what, name, most in (
            ("import nbsocket", "import", IMPORT_RATIO),
            ("run an empty program", "empty", RUN_RATIO),
        ):
            yield judged(
                GROUP,
                f"start-up, beside import socket, ssl: {what}",
                statistics.median(times[name]),
                "ms",
                reference=statistics.median(times["sockets"]),
                reference_name="python -c 'import socket, ssl'",
                at_most=most,
            )
        teller = Path(folder) / "teller.py"
        teller.write_text(_MEMORY_PROGRAM, encoding="utf-8")
        alone, over = _resident([str(teller)]), _resident([*over_modem[:-1], str(teller)])
        wrapt = _resident(["-c", f"import wrapt\n{_MEMORY_PROGRAM}"])
        note = f"{over:.1f} MiB beside {alone:.1f}; the program with wrapt alone: {wrapt:.1f}"
        yield judged(
            GROUP, "resident memory: nbsocket run program.py", over - alone, "MiB more", at_most=RUN_MEMORY, note=note
        )
        yield _beside("import nbsocket", times["import"], times["plain"], "python -c pass", _costs(commands["import"]))
        costs = _costs(over_modem)
        yield _beside("nbsocket run program.py", times["run"], times["program"], "python program.py", costs)
        beside = {"import nbsocket": ("import", "plain"), "nbsocket run program.py": ("run", "program")}
        for what, (name, plain) in beside.items():
            extra = statistics.median(used[name]) - statistics.median(used[plain])
            yield judged(GROUP, f"start-up, processor time: {what}", extra, "ms more")


def _times_in_turn(
    commands: dict[str, list[str]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run whole processes in turn; return milliseconds by the clock, and those of the processor."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    used: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(repeats + 1):
        for name, arguments in commands.items():
            started = time.perf_counter()
            child = os.posix_spawn(sys.executable, [sys.executable, *arguments], os.environ)
            _, status, usage = os.wait4(child, 0)
            elapsed = time.perf_counter() - started
            if status:
                raise RuntimeError(f"{arguments!r} ended with {os.waitstatus_to_exitcode(status)}")
            if number:  # the first round only warms the caches
                times[name].append(1000 * elapsed)
                used[name].append(1000 * (usage.ru_utime + usage.ru_stime))
    return times, used


def _resident(arguments: list[str]) -> float:
    """The most MiB that a program which tells them had resident."""
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


def _beside(what: str, ours: Sequence[float], plain: Sequence[float], name: str, costs: str) -> Row:
    """The difference of the medians; each turn's own difference is the spread."""
    extra = [ours_once - plain_once for ours_once, plain_once in zip(ours, plain, strict=True)]
    value = statistics.median(ours) - statistics.median(plain)
    note = f"{statistics.median(ours):.0f} ms beside {name} {statistics.median(plain):.0f} ms; {costs}"
    spread = (min(extra), max(extra))
    return judged(GROUP, f"start-up: {what}", value, "ms more", at_most=STARTUP_MS, spread=spread, note=note)


def _costs(arguments: Sequence[str], shown: int = 8) -> str:
    """Name the modules that take longest to load, by what ``-X importtime`` says of each alone."""
    command = [sys.executable, "-X", "importtime", *arguments]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    times: dict[str, float] = {}
    for line in output.splitlines():
        columns = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and columns[0].strip().isdigit():
            times[columns[2].strip()] = int(columns[0]) / 1000
    ordered = sorted(times.items(), key=lambda item: -item[1])[:shown]
    longest = ", ".join(f"{name} {value:.1f}" for name, value in ordered)
    return f"imports {sum(times.values()):.0f} ms with the tracing; longest: {longest}"
