"""Runs every program of ``libraries.py`` both ways and writes docs/libraries.md: ``python -m compat_tests.report``.

With ``--check`` the page is left alone; the exit code tells whether it names every library.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from compat_tests._servers import ServerMissing, Servers
from compat_tests.libraries import HOST, LIBRARIES, WAYS, Library, program_environment
from nbsocket._cli._demo_servers import make_certificates

HOME = Path(__file__).parents[1]
PAGE = HOME / "docs" / "libraries.md"
BEGIN, END = "<!-- libraries: made by python -m compat_tests.report -->\n", "<!-- libraries: end -->\n"
TIMEOUT = 150.0


@dataclass(slots=True)
class Row:
    """What the runs of one library's programs showed."""

    library: Library
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the line of the table."""
        works = "; ".join(dict.fromkeys(self.lines)) or "–"
        limits = "; ".join(filter(None, (*self.failures, self.library.limits))) or "–"
        cells = (self.library.name, self.library.version, works, limits, self.library.timeouts or "–")
        return "| " + " | ".join(cells) + " |"


def run_all() -> list[Row]:
    """Run every program both ways; programs of one library share a row."""
    rows: dict[str, Row] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ca_file, certificate = make_certificates(folder, HOST)
        servers = Servers(stack, folder, certificate)
        for library in LIBRARIES:
            row = rows.setdefault(library.name, Row(library))
            try:
                arguments = library.arguments(servers, ca_file)
            except ServerMissing as reason:
                row.failures.append(f"not tried: {reason}")
                continue
            for way in WAYS:
                _run(row, library, way, library.port(servers), arguments)
    return list(rows.values())


def _run(row: Row, library: Library, way: str, port: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *WAYS[way](port, arguments)],
        cwd=HOME / "compat_tests" / "programs",
        env=program_environment(library.environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        row.failures.append(f"fails when patched {way} its import: {last}")
    row.lines += done.stdout.splitlines()


def table(rows: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    head = "| Library | Version | What works | What does not | Time-outs to raise |\n|---|---|---|---|---|\n"
    return head + "".join(row.markdown() + "\n" for row in rows)


def main(argv: list[str]) -> int:
    """Write the table into the page, or check that it is complete."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} lacks the marks of the table")
    if "--check" in argv:
        missing = {library.name for library in LIBRARIES if f"\n| {library.name} |" not in old}
        print("\n".join(f"docs/libraries.md lacks {name}" for name in sorted(missing)) or "every library is there")
        return int(bool(missing))
    rows = run_all()
    PAGE.write_text(before + begin + table(rows) + end + after)
    failed = [row.library.name for row in rows if row.failures]
    print(f"{len(rows)} libraries", *(f"see {name}" for name in failed), sep="\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
