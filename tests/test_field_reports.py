"""The table of reported troubles in docs/reliability.md: every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
_ROW_RE = re.compile(r"^\| (?P<report>[^|]+) \| [^|]+ \| (?P<tests>`tests/[^|]+`) \|$", re.MULTILINE)


def rows() -> list[tuple[str, list[str]]]:
    """Return each report and the tests that are named for it."""
    text = (HOME / "docs" / "reliability.md").read_text()
    _, _, section = text.partition("\n## What was reported of real modules, and what happens here\n")
    table, _, _ = section.partition("\n## ")
    return [(row["report"], row["tests"].replace("`", "").split(", ")) for row in _ROW_RE.finditer(table)]


def test_the_table_is_read_whole() -> None:
    """No row is of a form that would be passed over."""
    text = (HOME / "docs" / "reliability.md").read_text()
    _, _, section = text.partition("\n## What was reported of real modules, and what happens here\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    assert len(rows()) == len([line for line in lines if not line.startswith("| What was reported")]) > 50


@pytest.mark.parametrize(("report", "tests"), rows(), ids=lambda value: value[:50] if isinstance(value, str) else "")
def test_its_tests_exist(report: str, tests: list[str]) -> None:
    """A file, or a function of a file."""
    for name in tests:
        path, _, function = name.partition("::")
        tree = ast.parse((HOME / path).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not function or function in functions, name
