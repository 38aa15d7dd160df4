"""``python -m compat_tests.cpython``: run CPython's own network tests over a simulated modem."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compat_tests.cpython._processes import Outcome
from compat_tests.cpython._report import write_report
from compat_tests.cpython._run import run_all
from compat_tests.cpython._selection import MODULES, has_tests, is_in_part
from compat_tests.cpython._verdict import GOAL, Result, Verdict

NO_TESTS = """\
The interpreter {executable} comes without the package `test`, so CPython's own tests cannot be run with it. Builds from
source (pyenv, actions/setup-python, the docker images `python:3.x` before they are slimmed) have it; on Debian and
Ubuntu it is the package libpython3-testsuite, on Fedora python3-test."""


def main() -> int:
    """Run, print what failed and how many passed, and return the exit code."""
    options = _parse()
    if not has_tests():
        print(NO_TESTS.format(executable=sys.executable), file=sys.stderr)
        return 77
    modules = [name.removeprefix("test.") for name in options.modules] or list(MODULES)
    result = run_all(
        modules,
        is_chosen=lambda module, name: _is_chosen(options, module, name),
        jobs=options.jobs,
        baseline_file=options.baseline,
        report_progress=lambda *done: _tell(*done, is_verbose=options.verbose),
    )
    if options.report:
        write_report(options.report, result, modules)
    return _conclude(result, options.least)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compat_tests.cpython", description=main.__doc__)
    parser.add_argument("modules", nargs="*", help="modules of the package test (default: all that concern networks)")
    parser.add_argument("--part", action="store_true", help="only the fixed part that continuous integration runs")
    parser.add_argument("-k", dest="classes", action="append", help="only this class (may be given several times)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--baseline", type=Path, help="file that keeps what passes on the plain interpreter")
    parser.add_argument("--report", type=Path, help="write the conformance report to this file")
    parser.add_argument("--least", type=int, default=0, help="fail unless so many tests went over the modem")
    parser.add_argument("-v", dest="verbose", action="store_true", help="print the tracebacks of all failures")
    return parser.parse_args()


def _is_chosen(options: argparse.Namespace, module: str, name: str) -> bool:
    if options.classes and name not in options.classes:
        return False
    return not options.part or is_in_part(f"{module}.{name}")


def _tell(module: str, name: str, verdicts: list[Verdict], seconds: float, *, is_verbose: bool) -> None:
    failed = [verdict for verdict in verdicts if not verdict.passes]
    over_modem = sum(verdict.is_over_modem for verdict in verdicts)
    counts = f"{len(verdicts)} plain, {over_modem} over the modem, {len(failed)} fail"
    print(f"{module}.{name}: {counts} ({seconds:.0f} s)", flush=True)
    for verdict in verdicts:
        if verdict.first_try is not None:
            print(f"  {verdict.name}: passed when it was run again, after a {verdict.first_try.kind}:")
            _print_detail(verdict.first_try)
        elif verdict.complaint or (is_verbose and not verdict.passes):
            print(f"  {verdict.complaint or verdict.name + ': ' + verdict.outcome.kind}")
            _print_detail(verdict.outcome)


def _print_detail(outcome: Outcome) -> None:
    print("    " + "\n    ".join(outcome.detail.splitlines()[-40:]), flush=True)


def _conclude(result: Result, least: int) -> int:
    total = result.tally()
    complaints = list(result.complaints())
    if total.over_modem < least:
        complaints.append(f"only {total.over_modem} tests went over the modem, not {least}")
    if total.share < GOAL:
        complaints.append(f"only {total.share:.1%} of the tests over the modem pass, not {GOAL:.0%}")
    for complaint in complaints:
        print(complaint)
    print(
        f"{total.plain} tests pass on the plain interpreter, {total.over_modem} of them went over the modem, and of "
        f"these {total.passed} pass: {total.share:.1%}; {total.refused} more are refused ({result.seconds:.0f} s)"
    )
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
