"""Runs the classes of the chosen modules, plain and over the modem, a few processes at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat_tests.cpython._baseline import Baseline
from compat_tests.cpython._processes import ClassRun, list_classes, run_class
from compat_tests.cpython._selection import is_left_out
from compat_tests.cpython._verdict import VERSION, Result, Verdict, judge
from compat_tests.cpython.known_failures import find

Unit = tuple[str, str]


def run_all(
    modules: Sequence[str],
    *,
    is_chosen: Callable[[str, str], bool],
    jobs: int,
    baseline_file: Path | None,
    report_progress: Callable[[str, str, list[Verdict], float], None],
) -> Result:
    """Run every chosen class of the modules.

    Args:
        modules: of the ``test`` package.
        is_chosen: told module and class.
        jobs: processes at a time.
        baseline_file: where the outcomes on the plain interpreter are kept between runs, if anywhere.
        report_progress: told of each class when it is done, with the seconds it took.
    """
    begin = time.monotonic()
    result = Result()
    baseline = Baseline(baseline_file)
    units: list[Unit] = []
    for module in modules:
        listing = list_classes(module)
        if not listing.classes:
            result.skipped[module] = listing.skipped or "no test classes"
        units += [
            (module, name)
            for name in listing.classes
            if is_chosen(module, name) and not is_left_out(f"{module}.{name}")
        ]

    def work(unit: Unit) -> list[Verdict]:
        started = time.monotonic()
        verdicts = _run_unit(*unit, baseline)
        report_progress(*unit, verdicts, time.monotonic() - started)
        return verdicts

    with ThreadPoolExecutor(jobs) as pool:
        for verdicts in pool.map(work, units):
            result.verdicts += verdicts
    baseline.save()
    result.seconds = time.monotonic() - begin
    return result


def _run_unit(module: str, class_name: str, baseline: Baseline) -> list[Verdict]:
    plain = baseline.get(module, class_name)
    left_out = [test for test, outcome in plain.outcomes.items() if outcome.kind != "pass"]
    if len(left_out) == len(plain.outcomes):
        return []
    modem = run_class(module, class_name, over_modem=True, left_out=left_out)
    return judge(module, class_name, plain, modem, _try_again(module, class_name, plain, modem))


def _try_again(module: str, class_name: str, plain: ClassRun, modem: ClassRun) -> ClassRun | None:
    """Run what failed unexpectedly once more, by itself: the machine may have been busy."""
    failed = {
        test
        for test, expected in plain.outcomes.items()
        if expected.kind == "pass"
        and test in modem.outcomes
        and modem.outcomes[test].kind != "pass"
        and find(f"{module}.{class_name}.{test}", VERSION) is None
    }
    if not failed:
        return None
    return run_class(
        module, class_name, over_modem=True, left_out=[test for test in plain.outcomes if test not in failed]
    )
