"""``python -m tests.simulation --seeds N [--start S] [--jobs J]``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.runner import Totals, figures, run_seeds, story

#: Failing seeds whose story is told.
MOST_STORIES = 3


def main() -> int:
    """Run the seeds; 1 when any fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--start", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--minutes", type=float, default=None, help="stop after so many minutes")
    options = parser.parse_args()
    begin = time.monotonic()
    totals, told = Totals(), 0.0
    for one in run_seeds(range(options.start, options.start + options.seeds), options.jobs):
        totals.add(one)
        for seed, _, sentence in one.failures:
            print(f"seed {seed}: {sentence}", flush=True)
        now = time.monotonic()
        if now > told + 30.0 and sys.stderr.isatty():
            told = now
            print(f"{totals.schedules} schedules, {len(totals.failures)} failures", file=sys.stderr)
        if options.minutes is not None and now > begin + 60 * options.minutes:
            break
    print(figures(totals, time.monotonic() - begin))
    for seed, _, _ in totals.failures[:MOST_STORIES]:
        print(f"\n{'=' * 40}\n{story(seed)}")
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main())
