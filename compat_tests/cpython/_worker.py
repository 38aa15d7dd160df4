"""Runs tests of one class of CPython's ``test`` package and writes what became of each as a line of JSON.

The same file runs on the plain interpreter and under ``nbsocket run``; in the second case each line tells how many
connections the modem opened (AT+QIOPEN) while the test ran.

Usage: ``_worker.py OUTPUT MODULE`` lists the classes, ``_worker.py OUTPUT MODULE CLASS [TEST...]`` runs without these.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import time
import unittest
from collections.abc import Callable
from typing import Any

#: What CPython's tests may use besides what is always there: no network but loopback, no gigabytes, no sound.
RESOURCES = ["cpu", "subprocess", "walltime"]
#: Modules that ask for the network and only use loopback.
ONLY_LOOPBACK = ("test_socketserver",)


class Recorder(unittest.TestResult):
    """Writes the beginning and the outcome of every test at once, so that a killed process loses nothing."""

    def __init__(self, output: Any, count_opens: Callable[[], int]) -> None:
        """Write to the file ``output``."""
        super().__init__()
        self._output = output
        self._count_opens = count_opens
        self._opens = 0
        self._begin = 0.0
        self._outcome = ("pass", "")

    def write(self, **fields: Any) -> None:
        """Write one line."""
        self._output.write(json.dumps(fields) + "\n")
        self._output.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        """Note where the count stands."""
        super().startTest(test)
        self._outcome = ("pass", "")
        self._opens, self._begin = self._count_opens(), time.monotonic()
        self.write(event="start", test=_name(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        """Write the outcome."""
        super().stopTest(test)
        kind, detail = self._outcome
        seconds = round(time.monotonic() - self._begin, 3)
        opens = self._count_opens() - self._opens
        self.write(event="stop", test=_name(test), outcome=kind, detail=detail, seconds=seconds, opens=opens)

    def _fail(self, test: Any, error: Any) -> None:
        self._outcome = ("fail", self._exc_info_to_string(error, test))  # type: ignore[attr-defined]  # private helper
        if not isinstance(test, unittest.TestCase):
            # What stands for a class or module whose set-up or tear-down failed.
            self.write(event="fixture", test=str(test), detail=self._outcome[1])

    def addError(self, test: Any, err: Any) -> None:
        """Count as a failure."""
        self._fail(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        """Count as a failure."""
        self._fail(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        """A failed part fails the test."""
        if err is not None:
            self._fail(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        """Keep the reason; a skipped part does not make a skipped test of one that failed."""
        if self._outcome[0] == "pass":
            self._outcome = ("skip", reason)
        if not isinstance(test, unittest.TestCase):
            self.write(event="fixture", test=str(test), detail="")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        """Neither pass nor failure."""
        self._outcome = ("skip", "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        """A failure to unittest."""
        self._outcome = ("fail", "unexpected success")


def main(output: str, module_name: str, class_name: str = "", *left_out: str) -> None:
    """List or run."""
    here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or ".") != here]
    with open(output, "a", encoding="utf-8") as file:
        recorder = Recorder(file, _counter())
        _prepare(module_name)
        try:
            module = importlib.import_module(f"test.{module_name}")
        except unittest.SkipTest as skip:
            recorder.write(event="module", skipped=str(skip), classes=[])
            return
        if not class_name:
            recorder.write(event="module", skipped="", classes=_classes(module))
            return
        faulthandler.enable()
        loaded = unittest.defaultTestLoader.loadTestsFromTestCase(getattr(module, class_name))
        suite = unittest.TestSuite(test for test in loaded if _name(test) not in left_out)
        suite(recorder)
        recorder.write(event="end")


def _prepare(module_name: str) -> None:
    support: Any = importlib.import_module("test.support")
    support.use_resources = [*RESOURCES, *(["network"] if module_name in ONLY_LOOPBACK else [])]
    support.verbose = False


def _counter() -> Callable[[], int]:
    """Return what counts the connections that the modem opened so far; 0 for ever on the plain interpreter."""
    if "nbsocket" not in sys.modules:
        return lambda: 0
    from nbsocket._default_modem import default_modem

    modem = default_modem()
    # Its threads are there before CPython's tests count threads.
    modem.open()
    return lambda: modem.stats().counters["opens"]


def _classes(module: Any) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, unittest.TestCase)
        and value.__module__ == module.__name__
        and unittest.defaultTestLoader.getTestCaseNames(value)
    ]


def _name(test: Any) -> str:
    return str(test.id()).rpartition(".")[2] if isinstance(test, unittest.TestCase) else str(test)


if __name__ == "__main__":
    main(*sys.argv[1:])
    # Non-daemon threads that a failed test left behind must not keep the process; what the modem still has to send is
    # of no interest here.
    sys.stdout.flush()
    os._exit(0)
