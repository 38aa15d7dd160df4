"""The result of one check of ``nbsocket doctor``, and how it is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from nbsocket._dataclass import dataclass

__all__ = ["Finding", "failure", "fine", "skipped", "text_of", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    #: What was looked at.
    check: str
    #: False: it does not work; None: it was not looked at, because something before it failed.
    ok: bool | None
    #: What was seen.
    detail: str
    #: The command, or what to do by hand, that mends it; None where nothing needs mending.
    remedy: str | None = None

    @property
    def is_warning(self) -> bool:
        """Whether it works, but has a remedy all the same."""
        return self.ok is True and self.remedy is not None


def fine(check: str, detail: str) -> Finding:
    """Make a finding: all is well."""
    return Finding(check, True, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    """Make a finding: it works, but may surprise."""
    return Finding(check, True, detail, remedy)


def failure(check: str, detail: str, remedy: str) -> Finding:
    """Make a finding: it does not work."""
    return Finding(check, False, detail, remedy)


def skipped(check: str, why: str) -> Finding:
    """Make a finding: it was not checked."""
    return Finding(check, None, why)


_WORDS = {True: "ok", False: "FAILURE", None: "skipped"}


def text_of(finding: Finding, columns: int) -> str:
    """Return the finding as lines of at most ``columns`` characters; commands are not broken."""
    word = "warning" if finding.is_warning else _WORDS[finding.ok]
    first = f"{word:<8} {finding.check}: "
    lines = textwrap.wrap(first + finding.detail, max(columns, 40), subsequent_indent=" " * 9, break_long_words=False)
    if finding.remedy is not None:
        lines += _remedy_lines(finding.remedy.splitlines())
    return "\n".join(lines)


def _remedy_lines(lines: Iterable[str]) -> list[str]:
    return [f"{' ' * 9}{'-> ' if not number else '   '}{line}" for number, line in enumerate(lines)]
