"""``python -m tests.simulation --seeds N [--start S] [--jobs J]``: run so many schedules, and add up what they came to.

An interrupt ends it with the figures so far.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import closing
from pathlib import Path

from nbsocket._models import PROFILES
from tests.simulation.runner import Totals, WorkerDied, as_data, figures, run_seeds, story

#: Failing seeds whose story is told.
MOST_STORIES = 3


def main() -> int:
    """Run the seeds; 1 when any fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--start", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--model", choices=tuple(PROFILES), default="bc260y", help="of the modem (default: bc260y)")
    parser.add_argument("--minutes", type=float, default=None, help="stop after so many minutes")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the totals there, too")
    options = parser.parse_args()
    begin = time.monotonic()
    totals, status = Totals(), 0
    try:
        _run(totals, options)
    except KeyboardInterrupt:
        status = 130
    except WorkerDied as error:
        print(error)
        status = 1
    seconds = time.monotonic() - begin
    print(figures(totals, seconds))
    if options.json is not None:
        options.json.write_text(json.dumps(as_data(totals, seconds), indent=2) + "\n", encoding="utf-8")
    for seed, _, _ in totals.failures[: 0 if status else MOST_STORIES]:
        print(f"\n{'=' * 40}\n{story(seed, options.model)}")
    return status or (1 if totals.failures else 0)


def _run(totals: Totals, options: argparse.Namespace) -> None:
    begin, told = time.monotonic(), 0.0
    with closing(run_seeds(range(options.start, options.start + options.seeds), options.jobs, options.model)) as runs:
        for one in runs:
            totals.add(one)
            for seed, _, sentence in one.failures:
                print(f"seed {seed}: {sentence}", flush=True)
            now = time.monotonic()
            if now > told + 30.0 and sys.stderr.isatty():
                told = now
                print(f"{totals.schedules} schedules, {len(totals.failures)} failures", file=sys.stderr)
            if options.minutes is not None and now > begin + 60 * options.minutes:
                break


if __name__ == "__main__":
    sys.exit(main())
