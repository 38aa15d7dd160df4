"""What the two runs of the classes amount to, test by test, and where that differs from the list of known failures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from compat_tests.cpython._processes import ClassRun, Outcome
from compat_tests.cpython.known_failures import Known, find

VERSION = (sys.version_info[0], sys.version_info[1])

#: Share of the tests over the modem that must pass.
GOAL = 0.97


@dataclass(frozen=True, slots=True)
class Verdict:
    """One test that passes on the plain interpreter."""

    module: str
    class_name: str
    test: str
    outcome: Outcome
    known: Known | None
    #: how it failed before it was run again, by itself, and passed
    first_try: Outcome | None = None

    @property
    def name(self) -> str:
        """``module.Class.test``, as in the list."""
        return f"{self.module}.{self.class_name}.{self.test}"

    @property
    def passes(self) -> bool:
        """It does what it does on the plain interpreter."""
        return self.outcome.kind == "pass"

    @property
    def is_over_modem(self) -> bool:
        """The modem opened a connection while it ran; an unexplained failure counts, too: it may not have got there."""
        return self.outcome.opens > 0 or (not self.passes and self.known is None)

    @property
    def is_refused(self) -> bool:
        """It fails, for a known reason, before anything reaches the modem."""
        return not (self.passes or self.is_over_modem)

    @property
    def complaint(self) -> str:
        """What is against the list; empty when all is as expected."""
        if not self.passes and self.known is None:
            return f"{self.name}: {self.outcome.kind}, and not in known_failures.py"
        if self.passes and self.known is not None and not self.known.may_pass:
            return f"{self.name}: passes, but is in known_failures.py"
        return ""


def judge(module: str, class_name: str, plain: ClassRun, modem: ClassRun, again: ClassRun | None) -> list[Verdict]:
    """Compare the runs of one class: every test that passes on the plain interpreter, in its order."""
    verdicts = []
    for test, expected in plain.outcomes.items():
        if expected.kind != "pass":
            continue
        outcome = modem.outcomes.get(test) or _not_run(modem)
        second = again.outcomes.get(test) if again is not None else None
        first = None
        if outcome.kind != "pass" and second is not None and second.kind == "pass":
            first, outcome = outcome, second
        known = find(f"{module}.{class_name}.{test}", VERSION)
        verdicts.append(Verdict(module, class_name, test, outcome, known, first))
    return verdicts


def _not_run(run: ClassRun) -> Outcome:
    """What a test gets that was not reached: the failure of whatever is not a test, such as setUpClass."""
    details = [outcome.detail for name, outcome in run.outcomes.items() if not name.isidentifier()]
    return Outcome("fail", "\n".join(["was not run", *details]))


@dataclass(slots=True)
class Tally:
    """The figures of a module, or of all."""

    plain: int = 0
    over_modem: int = 0
    passed: int = 0
    refused: int = 0

    def add(self, verdicts: Iterable[Verdict]) -> None:
        """Count them in."""
        for verdict in verdicts:
            self.plain += 1
            self.over_modem += verdict.is_over_modem
            self.passed += verdict.is_over_modem and verdict.passes
            self.refused += verdict.is_refused

    @property
    def share(self) -> float:
        """Share of the tests over the modem that pass."""
        return self.passed / self.over_modem if self.over_modem else 1.0


@dataclass(slots=True)
class Result:
    """Everything that a run found."""

    verdicts: list[Verdict] = field(default_factory=list)
    #: module -> why it was not run
    skipped: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def tally(self, module: str | None = None) -> Tally:
        """Return the figures of one module or of all."""
        tally = Tally()
        tally.add(verdict for verdict in self.verdicts if module in (None, verdict.module))
        return tally

    def complaints(self) -> Iterator[str]:
        """Give what is against the list."""
        return (verdict.complaint for verdict in self.verdicts if verdict.complaint)
