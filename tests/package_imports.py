"""What the files of ``nbsocket/`` import of one another, told from the source alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "nbsocket"


def layer_of(path: Path) -> str:
    """Return the layer of a file: the folder or the module right below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources() -> Iterator[Path]:
    """Yield every file of the package, by name."""
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


def module_name(path: Path) -> str:
    """Return a file's module as import statements spell it."""
    parts = ("nbsocket", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(module: str, name: str) -> str:
    """Return the module that ``from module import name`` needs: the submodule if there is one."""
    path = PACKAGE.joinpath(*module.split(".")[1:], name or "-")
    is_submodule = path.with_suffix(".py").exists() or path.is_dir()
    return f"{module}.{name}" if module.split(".")[0] == "nbsocket" and is_submodule else module
