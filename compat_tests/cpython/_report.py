"""Writes docs/cpython-conformance.md from what a run found: one section a Python version, the others are kept."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from compat_tests.cpython._processes import PORT
from compat_tests.cpython._selection import LEFT_OUT
from compat_tests.cpython._verdict import VERSION, Result, Tally, Verdict
from compat_tests.cpython.known_failures import Reason

_HEAD = """\
# CPython's own network tests, over the modem

Made by `python -m compat_tests.cpython --report docs/cpython-conformance.md`, one section a Python version; not to be
edited.

The package `test`, as installed with the interpreter and unmodified, runs under `nbsocket run --bypass none` on the
simulated module (`{port}`). Servers listen on loopback natively; every connection and every client's datagram goes
socket → driver → AT commands → simulated module → loopback. Each test class runs in a process of its own, once on the
plain interpreter and once over the modem. *Over the modem* are the tests during which the driver sent `AT+QIOPEN`, and
all failures that are not explained; *refused* are those that fail, for a reason given below, before anything is sent. A
UDP socket that a test binds to a loopback address is taken for a server and stays on the operating system, so tests
whose UDP clients are bound do not count.
"""

_TABLE_HEAD = """
| Module | pass on the plain interpreter | of these over the modem | of these pass | | refused |
|---|--:|--:|--:|--:|--:|
"""

_SECTION_RE = re.compile(r"^(?=## CPython )", re.MULTILINE)


def write_report(path: Path, result: Result, modules: Sequence[str]) -> None:
    """Put the section of this interpreter into the report."""
    known = path.read_text("utf-8") if path.exists() else ""
    sections = {text.splitlines()[0]: text.rstrip("\n") + "\n" for text in _SECTION_RE.split(known)[1:]}
    title = f"## CPython {VERSION[0]}.{VERSION[1]}"
    sections[title] = "".join([f"{title}\n", *_section(result, modules)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([_HEAD.format(port=PORT), *(sections[key] for key in sorted(sections))]), "utf-8")


def _section(result: Result, modules: Sequence[str]) -> Iterator[str]:
    total = result.tally()
    yield (
        f"\n{platform.python_implementation()} {platform.python_version()} on {platform.system()}: "
        f"**{total.passed} of {total.over_modem} tests over the modem pass, {total.share:.1%}**; "
        f"{total.refused} more are refused.\n"
    )
    yield _TABLE_HEAD
    for module in modules:
        if module not in result.skipped:
            yield _row(f"`{module}`", result.tally(module))
    yield _row("**all**", total)
    yield from _failures(result)
    yield from _not_run(result)


def _row(title: str, tally: Tally) -> str:
    share = f"{tally.share:.1%}" if tally.over_modem else "–"
    return f"| {title} | {tally.plain} | {tally.over_modem} | {tally.passed} | {share} | {tally.refused or ''} |\n"


def _failures(result: Result) -> Iterator[str]:
    failed = [verdict for verdict in result.verdicts if not verdict.passes]
    counts = Counter(verdict.known.reason for verdict in failed if verdict.known)
    yield "\n### What does not pass, and why\n"
    for reason in Reason:
        if counts[reason]:
            yield f"\n{reason.value[0].upper()}{reason.value[1:]} ({counts[reason]}):\n\n"
            yield from _names([verdict for verdict in failed if verdict.known and verdict.known.reason is reason])
    unlisted = [verdict for verdict in failed if verdict.known is None]
    if unlisted:
        yield f"\nNot explained ({len(unlisted)}):\n\n"
        yield from _names(unlisted)
    again = [verdict for verdict in result.verdicts if verdict.first_try is not None]
    if again:
        yield f"\nPassed only when run a second time, by itself ({len(again)}):\n\n"
        yield from _names(again)


def _names(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """One line a class."""
    tests: dict[str, list[str]] = {}
    for verdict in verdicts:
        tests.setdefault(f"{verdict.module}.{verdict.class_name}", []).append(verdict.test)
    for name, members in tests.items():
        yield f"- `{name}`: {', '.join(f'`{member}`' for member in members)}\n"


def _not_run(result: Result) -> Iterator[str]:
    yield "\n### Not run\n\n"
    for name, why in {**LEFT_OUT, **result.skipped}.items():
        yield f"- `{name}`: {why}\n"
