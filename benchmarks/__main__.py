"""``python -m benchmarks``: run the benchmarks, print a table and write JSON."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks._report import FULL, QUICK, Effort, Row, document, insert, machine, show_number, table, to_json

#: In the order that they run; one line each.
BENCHMARKS = {
    "line_use": "goodput against the limit of a paced line",
    "throughput": "an unpaced line: against the floor and against other clients",
    "codec": "the parser and the commands alone",
    "latency": "request and response of 10 bytes",
    "processor": "processor time and wake-ups, busy and idle",
    "thrift": "bytes, commands and segments of usual exchanges",
    "path": "Python calls on the engine's thread",
    "fairness": "connections that share the line",
    "scale": "many modems, memory, start-up",
}

DEFAULT_OUTPUT = Path(__file__).resolve().parent / "results" / "latest.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is asked for; the exit code is 1 when a benchmark failed to run, whatever the figures are."""
    options = _parse(argv)
    if options.list:
        for name, summary in BENCHMARKS.items():
            print(f"{name:<12}{summary}")
        return 0
    facts = machine()
    facts["arguments"] = list(sys.argv[1:] if argv is None else argv)
    rows, failures = _run(options.names or list(BENCHMARKS), QUICK if options.quick else FULL)
    facts["load_average_after"] = [round(value, 2) for value in os.getloadavg()]
    print(table(rows))
    met, missed = ([row for row in rows if row.is_met is verdict] for verdict in (True, False))
    print(f"\n{len(met)} targets met, {len(missed)} missed")
    for name, value in facts.items():
        print(f"{name}: {value}")
    path: Path = options.json
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_json(rows, facts) + "\n", encoding="utf-8")
    print(f"written to {path}")
    if options.document is not None:
        insert(options.document, document(rows, facts))
    return 1 if failures else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="name", help="run only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="less of everything, within 90 seconds")
    parser.add_argument(
        "--json", type=Path, default=DEFAULT_OUTPUT, metavar="FILE", help="where to write the figures (%(default)s)"
    )
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="put the table into this file, between its marks, too"
    )
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    return options


def _run(names: Sequence[str], effort: Effort) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    failures: list[str] = []
    for name in names:
        start = time.monotonic()
        try:
            for row in importlib.import_module(f"benchmarks.{name}").run(effort):
                rows.append(row)
                _progress(row)
        except Exception as error:
            failures.append(name)
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"-- {name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return rows, failures


def _progress(row: Row) -> None:
    verdict = {None: "", True: "met", False: "MISSED"}[row.is_met]
    against = "" if row.ratio is None else f" = {row.ratio:.3f} of {row.reference_name}"
    figures = f"{show_number(row.value)} {row.unit}{against} {row.target} {verdict} {row.note}"
    print(f"{row.group}: {row.what}: {figures}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
