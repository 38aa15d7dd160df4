"""The simulator stands on its own: it shares nothing with the driver that it tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nbsocket.sim

#: What every part of nbsocket stands on: no protocol in it.
FOUNDATION = {"nbsocket._dataclass", "nbsocket._runtime"}

FILES = sorted(Path(nbsocket.sim.__file__).parent.glob("*.py"))
PURE = {path.name for path in FILES} - {"_line.py", "_loopback.py", "_runner.py", "_simulator.py", "__init__.py"}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "nbsocket":
            names |= {f"nbsocket.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports(path: Path) -> None:
    found = {name for name in imports(path) if name.startswith("nbsocket")}
    assert {".".join(name.split(".")[:2]) for name in found} <= FOUNDATION
    if path.name in PURE:
        assert not imports(path) & {"socket", "_socket", "select", "selectors", "threading", "time", "os"}
