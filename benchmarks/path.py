"""How many Python calls the engine's thread makes for the steps of a connection's life.

What counts and how is said in ``_path_app.py``; ``python benchmarks/_path_app.py --verbose`` tells the functions, too,
and runs on any version of the library. The figures are the same in every run and hardly depend on the Python version
or the machine: a change of one call is a change of the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks._bench import Process
from benchmarks._report import Effort, Row, judged

GROUP = "path"

#: What each step is, and the most calls that it should take. In the redesign's beginning they were 302, 410, 140, 660
#: and 357. The set-up has no target: it is the modem's manual that makes it long.
STEPS: dict[str, tuple[str, int | None]] = {
    "connect": ("connect a TCP socket", 190),
    "send": ("1 byte from the program to SEND OK", 170),
    "receive": ("1 byte from the modem to the program", 90),
    "close": ("close a socket that has sent: is everything acknowledged, QICLOSE", 260),
    "restart": ("the modem restarts, two sockets are reset", 230),
    "set-up": ("the set-up after it", None),
}


def run(effort: Effort) -> Iterator[Row]:
    """Count; ``effort`` changes nothing, as every time is like the other."""
    with Process(["-m", "benchmarks._path_app"]) as process:
        yield from rows(process.hello)


def rows(steps: dict[str, dict[str, Any]]) -> Iterator[Row]:
    """Make rows of what ``_path_app`` tells."""
    for name, (what, most) in STEPS.items():
        figures = steps[name]
        folders = ", ".join(f"{folder} {count}" for folder, count in figures["folders"].items())
        spread = (min(figures["repetitions"]), max(figures["repetitions"]))
        note = f"{folders}; {figures['all']} in all"
        yield judged(GROUP, what, figures["calls"], "calls", at_most=most, spread=spread, note=note)
