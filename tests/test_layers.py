"""Imports go down only, no cycle, and no I/O in the sans-IO layers; told from the source alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nbsocket"

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
    "_modem",
    "_modem_options",
    "_engine",
    "_port",
    "_channel",
    "_driver",
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


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> Iterator[Path]:
    return (path for path in sorted(PACKAGE.rglob("*.py")))


def statements(path: Path, *, for_types: bool) -> Iterator[ast.AST]:
    """Yield every node of a file, with or without what stands under ``if TYPE_CHECKING``."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        is_for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if for_types or not is_for_types:
            yield node
            waiting += ast.iter_child_nodes(node)


def imports(path: Path, *, for_types: bool = True) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import statement, wherever it stands, in absolute form."""
    package = ("nbsocket", *path.relative_to(PACKAGE).parts[:-1])
    for node in statements(path, for_types=for_types):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from ((module, alias.name) for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Return the layers of this package that a file imports from."""
    found: set[str] = set()
    for module, name in imports(path):
        parts = module.split(".")
        if parts[0] != "nbsocket":
            continue
        if len(parts) > 1:
            found.add(parts[1])
        elif not name:
            found.add("__init__")
        else:
            is_module = (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir()
            found.add(name if is_module else "__init__")
    return found - {layer_of(path)}


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


@pytest.mark.parametrize("folder", ["_at", "_driver"])
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


def module_name(path: Path) -> str:
    parts = ("nbsocket", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(module: str, name: str) -> str:
    """Return the module that ``from module import name`` needs: the submodule if there is one."""
    path = PACKAGE.joinpath(*module.split(".")[1:], name or "-")
    is_submodule = path.with_suffix(".py").exists() or path.is_dir()
    return f"{module}.{name}" if module.split(".")[0] == "nbsocket" and is_submodule else module
