"""The runner: what counts, what is held against the list, and what it says where there is nothing to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compat_tests.cpython._processes import ClassRun, Outcome, run_class
from compat_tests.cpython._report import write_report
from compat_tests.cpython._selection import has_tests, is_in_part, is_left_out
from compat_tests.cpython._verdict import Result, Verdict, judge
from compat_tests.cpython.known_failures import KNOWN_FAILURES, Known, Reason, find

HOME = Path(__file__).parents[2]

LISTED = Known("m.C.test_x", Reason.CONNECTIONS)
CHANCE = Known("m.C.test_x", Reason.SPINNING, may_pass=True)


def run_of(**outcomes: Outcome) -> ClassRun:
    """Return the run of a class."""
    return ClassRun(dict(outcomes))


def verdict_of(outcome: Outcome, known: Known | None = None) -> Verdict:
    """Return the verdict about one test."""
    return Verdict("m", "C", "test_x", outcome, known)


@pytest.mark.parametrize(
    ("kind", "known", "complaint"),
    [
        ("pass", None, ""),
        ("fail", None, "m.C.test_x: fail, and not in known_failures.py"),
        ("timeout", None, "m.C.test_x: timeout, and not in known_failures.py"),
        ("skip", None, "m.C.test_x: skip, and not in known_failures.py"),
        ("fail", LISTED, ""),
        ("pass", LISTED, "m.C.test_x: passes, but is in known_failures.py"),
        ("pass", CHANCE, ""),
        ("fail", CHANCE, ""),
    ],
)
def test_strict_both_ways(kind: str, known: Known | None, complaint: str) -> None:
    """What fails must be listed, and what is listed must fail."""
    assert verdict_of(Outcome(kind), known).complaint == complaint


@pytest.mark.parametrize(
    ("outcome", "known", "is_over_modem", "is_refused"),
    [
        (Outcome("pass", opens=1), None, True, False),
        (Outcome("pass"), None, False, False),
        (Outcome("fail"), None, True, False),
        (Outcome("fail", opens=1), LISTED, True, False),
        (Outcome("fail"), LISTED, False, True),
    ],
)
def test_what_counts(outcome: Outcome, known: Known | None, is_over_modem: bool, is_refused: bool) -> None:
    """A bypassed test is not claimed, and an unexplained failure is always held against us."""
    verdict = verdict_of(outcome, known)
    assert (verdict.is_over_modem, verdict.is_refused) == (is_over_modem, is_refused)


def test_judging_a_class() -> None:
    """Only what passes on the plain interpreter is asked for; a second try is told."""
    plain = run_of(a=Outcome("pass"), b=Outcome("skip"), c=Outcome("pass"), d=Outcome("pass"))
    modem = run_of(a=Outcome("pass", opens=2), c=Outcome("fail", "busy"))
    modem.outcomes["setUpClass (m.C)"] = Outcome("fail", "broken fixture")
    again = run_of(c=Outcome("pass", opens=1))
    a, c, d = judge("m", "C", plain, modem, again)
    assert (a.outcome.opens, c.passes, c.first_try) == (2, True, Outcome("fail", "busy"))
    assert d.outcome.kind == "fail" and "broken fixture" in d.outcome.detail
    result = Result([a, c, d])
    tally = result.tally("m")
    assert (tally.plain, tally.over_modem, tally.passed) == (3, 3, 2)
    assert len(list(result.complaints())) == 1


def test_the_report_keeps_other_versions(tmp_path: Path) -> None:
    """One section a version, made anew by a run of that version."""
    path = tmp_path / "report.md"
    path.write_text("old head\n\n## CPython 3.1\n\nold figures\n", "utf-8")
    for _ in range(2):
        write_report(path, Result([verdict_of(Outcome("fail", opens=1), LISTED)], {"n": "why"}), ["m", "n"])
    text = path.read_text("utf-8")
    assert "old figures" in text and "old head" not in text
    assert text.count("| `m` | 1 | 1 | 0 | 0.0% |  |") == 1
    assert text.count("- `m.C`: `test_x`") == 1 and "- `n`: why" in text


def test_the_lists() -> None:
    """Every pattern can match something, and nothing is both run and left out."""
    assert find("test_ftplib.TestFTPClass.test_abort", (3, 11)) is not None
    assert find("test_ftplib.TestFTPClass.test_abort_not", (3, 11)) is None
    assert not Known("m.C.test_x", Reason.URGENT, since=(3, 12)).matches("m.C.test_x", (3, 11))
    assert is_in_part("test_poplib.TestPOP3Class") and not is_in_part("test_asyncio.test_ssl.TestSSL")
    assert is_left_out("test_socket.BasicUDPLITETest") and not is_left_out("test_socket.BasicUDPTest")
    assert len({known.pattern for known in KNOWN_FAILURES}) == len(KNOWN_FAILURES)


@pytest.mark.skipif(not has_tests(), reason="this python comes without CPython's tests")
@pytest.mark.timeout(120)
def test_a_class_over_the_modem_and_plain() -> None:
    """The count tells the two apart."""
    left_out = ["testDup", "testDetach"]
    plain = run_class("test_socket", "BasicTCPTest", over_modem=False, left_out=left_out)
    modem = run_class("test_socket", "BasicTCPTest", over_modem=True, left_out=left_out)
    assert plain.outcomes.keys() == modem.outcomes.keys() and "testDup" not in plain.outcomes
    assert {outcome.kind for outcome in plain.outcomes.values()} == {"pass"}
    assert {outcome.opens for outcome in plain.outcomes.values()} == {0}
    assert {outcome.opens for outcome in modem.outcomes.values()} == {1}


@pytest.mark.parametrize("stand_in", ["None", "types.ModuleType('test')"])
def test_an_interpreter_without_tests(stand_in: str) -> None:
    """It says so, and what to do."""
    script = f"import runpy, sys, types; sys.modules['test'] = {stand_in}; sys.argv = ['x']; "
    script += "runpy.run_module('compat_tests.cpython', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", script], cwd=HOME, capture_output=True, text=True, timeout=60)
    assert done.returncode == 77
    assert "comes without the package `test`" in done.stderr and "libpython3-testsuite" in done.stderr
