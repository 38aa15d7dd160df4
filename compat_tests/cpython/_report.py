"""Writes docs/cpython-conformance.md from what a run found."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from compat_tests.cpython._selection import LEFT_OUT
from compat_tests.cpython._verdict import Result, Tally
from compat_tests.cpython.known_failures import Reason

_HEAD = """\
# CPython's own network tests, over the modem

Made by `python -m compat_tests.cpython --report {path}`; not to be edited.

The package `test` of CPython {version}, as installed with the interpreter and unmodified, under
`nbsocket run --bypass none` on the simulated module ({system}). Servers listen on loopback natively; client connections
and datagrams go socket → driver → AT commands → simulated module → loopback. Each test class runs in a process of its
own. "Over the modem" are the tests while which the driver sent AT+QIOPEN at least once, and those that fail.

| Module | pass on the plain interpreter | of these over the modem | of these pass | |
|---|--:|--:|--:|--:|
"""


def write_report(path: Path, result: Result, modules: Sequence[str]) -> None:
    """Write the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(_sections(path, result, modules)), "utf-8")


def _sections(path: Path, result: Result, modules: Sequence[str]) -> Iterator[str]:
    name = f"docs/{path.name}"
    yield _HEAD.format(path=name, version=platform.python_version(), system=platform.system())
    for module in modules:
        if module not in result.skipped:
            yield _row(f"`{module}`", result.tally(module))
    yield _row("**all**", result.tally())
    yield from _failures(result)
    yield from _not_run(result)


def _row(title: str, tally: Tally) -> str:
    share = f"{tally.share:.1%}" if tally.over_modem else "–"
    return f"| {title} | {tally.plain} | {tally.over_modem} | {tally.passed} | {share} |\n"


def _failures(result: Result) -> Iterator[str]:
    failed = [verdict for verdict in result.verdicts if not verdict.passes]
    counts = Counter(verdict.known.reason for verdict in failed if verdict.known)
    yield "\n## What does not pass, and why\n"
    for reason in Reason:
        if not counts[reason]:
            continue
        yield f"\n**{reason.value[0].upper()}{reason.value[1:]}** ({counts[reason]})\n\n"
        for verdict in failed:
            if verdict.known and verdict.known.reason is reason:
                yield f"- `{verdict.name}`\n"
    unlisted = [verdict for verdict in failed if verdict.known is None]
    if unlisted:
        yield f"\n**Not explained** ({len(unlisted)})\n\n"
        yield from (f"- `{verdict.name}`: {verdict.outcome.kind}\n" for verdict in unlisted)


def _not_run(result: Result) -> Iterator[str]:
    yield "\n## Not run\n\n"
    for name, why in {**LEFT_OUT, **result.skipped}.items():
        yield f"- `{name}`: {why}\n"
