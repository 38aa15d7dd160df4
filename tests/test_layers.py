"""Imports go down only, no cycle, and no I/O in the sans-IO layers; told from the source alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.package_imports import PACKAGE, absolute, imports, layer_of, module_name, own_imports, sources

#: From the top: each may import what stands below it. A folder is one layer.
LAYERS = [
    "__main__",
    "_cli",
    "pytest_plugin",
    "trio",
    "__init__",
    "_patching",
    "_sockets",
    "_routing",
    "_default_modem",
    "_modem",
    "_modem_checks",
    "_modem_options",
    "_engine",
    "_port",
    "_channel",
    "_driver",
    "_models",
    "_at",
    "_runtime",
    "_errors",
    "_parameter",
    "_privacy",
    "_dataclass",
    "_version",
]

#: The far end of the wire stands apart: nothing but the genuine functions, and only these may import it.
SIM_IMPORTS = {"_dataclass", "_runtime", "_version"}
SIM_USERS = {"_cli", "_port", "pytest_plugin"}

#: Modules that do I/O, wait, or read a clock.
IO_MODULES = {
    "socket",
    "_socket",
    "select",
    "selectors",
    "threading",
    "time",
    "serial",
    "logging",
    "asyncio",
    "os",
    "subprocess",
}

#: What the sans-IO layers may take from such a module: constants and exceptions, no more.
HARMLESS = {"EAI_AGAIN", "EAI_FAIL", "EAI_NONAME", "gaierror"}


def test_every_file_has_a_layer() -> None:
    assert {layer_of(path) for path in sources()} - set(LAYERS) - {"sim"} == set()


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    layer = layer_of(path)
    if layer == "sim":
        assert own_imports(path) <= SIM_IMPORTS
        return
    below = set(LAYERS[LAYERS.index(layer) + 1 :])
    allowed = below | ({"sim"} if layer in SIM_USERS else set())
    assert own_imports(path) <= allowed


@pytest.mark.parametrize("folder", ["_at", "_models", "_driver"])
def test_the_sans_io_layers_do_no_io(folder: str) -> None:
    found = {
        (path.name, module, name)
        for path in sorted((PACKAGE / folder).glob("*.py"))
        for module, name in imports(path)
        if module.split(".")[0] in IO_MODULES and name not in HARMLESS
    }
    assert found == set()


def test_the_files_of_each_folder_have_no_cycle() -> None:
    graph = {module_name(path): {absolute(*pair) for pair in imports(path, for_types=False)} for path in sources()}
    while graph:
        leaves = {module for module, needs in graph.items() if not needs & set(graph)}
        assert leaves, f"these import each other: {sorted(graph)}"
        graph = {module: needs - leaves for module, needs in graph.items() if module not in leaves}


#: Lines of a file, and methods of a class, up to which a reader finds the way; properties count.
MOST_LINES, MOST_METHODS = 500, 30

#: What has more, and why.
LARGER = {
    "SocketType": "it has the methods that trio.socket.SocketType prescribes, a line or two each",
}


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_classes_are_of_a_size_that_can_be_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and node.name not in LARGER:
            methods = [child for child in node.body if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))]
            assert len(methods) <= MOST_METHODS, node.name


def test_every_class_has_a_name_of_its_own() -> None:
    places: dict[str, set[str]] = {}
    for path in sources():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, set()).add(str(path.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
