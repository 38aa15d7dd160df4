"""What a benchmark reports: rows, their judgement, the table and the JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Between these marks a document has its figures.
BEGIN, END = "<!-- figures: made by python -m benchmarks --document -->", "<!-- figures: end -->"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much time to spend."""

    is_quick: bool = False
    #: Repetitions of each measurement; what is compared takes turns.
    repeats: int = 3
    #: About how long one repetition should take where that can be chosen.
    seconds: float = 1.5


QUICK = Effort(is_quick=True, repeats=2, seconds=0.4)
FULL = Effort()


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    #: ``"line use"``, ``"throughput"``, ``"codec"``, ``"latency"``, ``"processor"``, ``"thrift"``, ``"path"``,
    #: ``"fairness"`` or ``"scale"``.
    group: str
    #: For example ``"up, hex, TCP, 115200 baud"``.
    what: str
    #: What was measured of nbsocket.
    value: float
    unit: str
    #: The floor, limit or peer, measured in the same run.
    reference: float | None
    reference_name: str
    #: Value against reference: the figure that the target is about.
    ratio: float | None
    #: ``">= 0.97"``; empty when it has none.
    target: str
    #: None without a target.
    is_met: bool | None
    #: Lowest and highest value over the repetitions.
    spread: tuple[float, float] | None = None
    note: str = ""


def judged(
    group: str,
    what: str,
    value: float,
    unit: str,
    *,
    reference: float | None = None,
    reference_name: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    spread: tuple[float, float] | None = None,
    note: str = "",
) -> Row:
    """Make a row; the target is about the ratio, or about the value itself where there is no reference.

    Args:
        group: see :class:`Row`, as the rest.
        what: what was measured.
        value: of nbsocket.
        unit: of value and reference.
        reference: what it is compared with; the ratio is ``value / reference``.
        reference_name: what that is.
        at_least: target.
        at_most: target; with ``at_least`` a range.
        spread: lowest and highest value.
        note: anything a reader should know.
    """
    ratio = value / reference if reference else None
    judged_figure = value if reference is None else ratio
    targets = []
    verdicts = []
    if at_least is not None:
        targets.append(f">= {at_least:g}")
        verdicts.append(judged_figure is not None and judged_figure >= at_least)
    if at_most is not None:
        targets.append(f"<= {at_most:g}")
        # A reference of nothing is only kept by nothing.
        verdicts.append(value <= 0 if judged_figure is None else judged_figure <= at_most)
    is_met = all(verdicts) if verdicts else None
    target = ", ".join(targets)
    return Row(group, what, value, unit, reference, reference_name, ratio, target, is_met, spread, note)


def compared(
    group: str,
    what: str,
    values: Sequence[float],
    unit: str,
    references: Sequence[float] | float | None = None,
    reference_name: str = "",
    **others: Any,
) -> Row:
    """Make a row of repetitions: the ratio is that of the medians; ``others`` are those of :func:`judged`."""
    if isinstance(references, (int, float)) or references is None:
        reference = references
    else:
        reference = statistics.median(references)
    return judged(
        group,
        what,
        statistics.median(values),
        unit,
        reference=reference,
        reference_name=reference_name,
        spread=(min(values), max(values)),
        **others,
    )


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below or at which ``share`` (0 to 1) of the values are: the nearest rank."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1))]


def show_number(value: float | None) -> str:
    """Show three or four digits that count."""
    if value is None:
        return ""
    size = abs(value)
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}" if size < 100 else f"{value:.1f}"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown, which is also readable as it is."""
    heads: tuple[str, ...] = ("", "what", "value", "spread", "against", "ratio", "target", "", "note")
    lines = [heads] + [_cells(row) for row in rows]
    if not any(line[0] for line in lines):
        # They have no group, or it is told elsewhere.
        heads, lines = heads[1:], [line[1:] for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads) - 1)]
    widths.append(len(heads[-1]))  # notes are long
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    shown.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(line.rstrip() for line in shown)


def document(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """Return the rows as a table a group, with the machine they were measured on."""
    groups = list(dict.fromkeys(row.group for row in rows))
    load = f"load average {facts['load_average'][0]}"
    parts = [f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, Python {facts['python']}, {load}."]
    for group in groups:
        parts.append(f"### {group[0].upper()}{group[1:]}")
        parts.append(table([dataclasses.replace(row, group="") for row in rows if row.group == group]))
    return "\n\n".join(parts) + "\n"


def insert(path: Path, text: str) -> None:
    """Put a text between the marks of a file.

    Raises:
        ValueError: the file has no marks.
    """
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no place for figures")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    spread = "" if row.spread is None else f"{show_number(row.spread[0])} to {show_number(row.spread[1])}"
    against = f"{row.reference_name} {show_number(row.reference)}".strip()
    verdict = {None: "", True: "met", False: "MISSED"}[row.is_met]
    value = f"{show_number(row.value)} {row.unit}".strip()
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    return (row.group, row.what, value, spread, against, ratio, row.target, verdict, row.note)


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "switch_interval": sys.getswitchinterval(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def to_json(rows: Iterable[Row], facts: dict[str, Any]) -> str:
    """Return everything as JSON."""
    return json.dumps({"machine": facts, "rows": [dataclasses.asdict(row) for row in rows]}, indent=1)
