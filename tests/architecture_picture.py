"""``python -m tests.architecture_picture``: draw the layers of the package and their imports, as docs/architecture.svg.

Everything in the picture is read from the code: a box for each folder and module right below ``nbsocket/``, the first
sentence of its docstring, and an arrow from each to what it imports. An arrow that other arrows imply is left out, and
each box stands right below what imports it. What most layers stand on is a band at the foot, without arrows.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from tests.package_imports import PACKAGE, layer_of, own_imports, sources

FILE = PACKAGE.parent / "docs" / "architecture.svg"

#: The layers, each with those that it imports.
Graph = Mapping[str, frozenset[str]]

#: So many layers must import one by themselves before it is part of the foundation.
FOUNDATION_USERS = 3

#: Pixels, and characters of a sentence's line.
BOX_WIDTH, BOX_HEIGHT, GAP, ROW_GAP, MARGIN = 310, 76, 30, 34, 30
LINE_SIZE, MOST_LINES = 43, 3

STYLE = """\
svg{font-family:system-ui,sans-serif;background:#fff}
rect{fill:#f4f6fb;stroke:#3f51b5;stroke-width:1.5}
.public rect{fill:#eefaf0;stroke:#2e7d32}.foundation rect{fill:#fff7e6;stroke:#b26a00}
text{fill:#1b1f2a;font-size:12.5px;text-anchor:middle}.name{font-size:15px;font-weight:600}.band{text-anchor:start;fill:#5a648c}
path{fill:none;stroke:#444;stroke-width:1.4;marker-end:url(#arrow)}"""


def package_graph() -> Graph:
    """Return what each layer of the package imports."""
    found: dict[str, set[str]] = {}
    for path in sources():
        found.setdefault(layer_of(path), set()).update(own_imports(path))
    return {layer: frozenset(imported & set(found)) for layer, imported in found.items()}


def package_sentences() -> dict[str, str]:
    """Return the first sentence of each layer's docstring, without markup."""
    found: dict[str, str] = {}
    for path in sources():
        if path.parent == PACKAGE or (path.parent.parent == PACKAGE and path.name == "__init__.py"):
            found[layer_of(path)] = _first_sentence(path)
    return found


def _first_sentence(path: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
    text = re.split(r"(?<=\w\.) (?=[A-Z])", text, maxsplit=1)[0]
    return re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", lambda match: match[1] or match[2], text).rstrip(".")


def foundation(graph: Graph) -> set[str]:
    """Return the private layers that stand under most others and on nothing but one another."""
    users = {layer: sum(layer in imported for imported in graph.values()) for layer in graph}
    stood_on = {layer: sum(layer in reached(graph, other) for other in graph) for layer in graph}
    found = {
        layer
        for layer in graph
        if layer[:1] == "_" and users[layer] >= FOUNDATION_USERS and stood_on[layer] > len(graph) / 2
    }
    while not all(graph[layer] <= found for layer in found):
        found = {layer for layer in found if graph[layer] <= found}
    return found


def reached(graph: Graph, layer: str) -> frozenset[str]:
    """Return what a layer imports, and what that imports, and so on."""
    return graph[layer].union(*(reached(graph, other) for other in graph[layer]))


def implied_left_out(graph: Graph) -> Graph:
    """Return the graph without each import that a longer way leads along, too."""
    return {
        layer: imported.difference(*(reached(graph, other) for other in imported)) for layer, imported in graph.items()
    }


def rows(graph: Graph) -> list[list[str]]:
    """Return the layers row by row from the top, each one as near to what imports it as it can be."""
    height: dict[str, int] = {}

    def measure(layer: str) -> int:
        if layer not in height:
            height[layer] = 1 + max(map(measure, graph[layer]), default=-1)
        return height[layer]

    for layer in graph:
        measure(layer)
    for layer in sorted(graph, key=lambda layer: -height[layer]):
        importers = [height[other] for other, imported in graph.items() if layer in imported]
        height[layer] = min(importers, default=height[layer] + 1) - 1
    found: list[list[str]] = []
    for level in sorted(set(height.values()), reverse=True):
        above = {layer: index for index, layer in enumerate(found[-1])} if found else {}
        found.append(
            sorted((layer for layer in graph if height[layer] == level), key=lambda layer: _place(layer, graph, above))
        )
    return found


def _place(layer: str, graph: Graph, above: Mapping[str, int]) -> tuple[float, str]:
    """Order a row by the middle of what each one hangs from, then by name."""
    places = [index for other, index in above.items() if layer in graph[other]]
    return (sum(places) / len(places) if places else 0.0, layer)


def picture(graph: Graph, sentences: Mapping[str, str]) -> str:
    """Draw a graph."""
    base = foundation(graph)
    arrows = implied_left_out({layer: imported - base for layer, imported in graph.items() if layer not in base})
    levels = rows(arrows)
    bands = [sorted(base)[start : start + 3] for start in range(0, len(base), 3)]
    width = 2 * MARGIN + max(len(level) for level in [*levels, *bands]) * (BOX_WIDTH + GAP) - GAP
    corners: dict[str, tuple[float, float]] = {}
    top = float(MARGIN)
    for level in levels:
        corners |= _corners(level, width, top)
        top += BOX_HEIGHT + ROW_GAP
    band_top = top
    top += 24 if bands else 0
    for level in bands:
        corners |= _corners(level, width, top)
        top += BOX_HEIGHT + GAP // 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + MARGIN:g}" role="img" '
        'aria-label="The layers of nbsocket: each arrow leads from a layer to one that it imports">',
        "<!-- Made by python -m tests.architecture_picture; not to be edited. -->",
        f"<style>\n{STYLE}\n</style>",
        '<defs><marker id="arrow" markerWidth="9" markerHeight="9" refX="7" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" style="fill:#444;stroke:none;marker-end:none"/></marker></defs>',
        *(
            _arrow(corners[layer], corners[other])
            for layer in sorted(arrows)
            for other in sorted(arrows[layer], key=lambda other: corners[other])
        ),
        *(_box(layer, corners[layer], sentences.get(layer, ""), layer in base) for layer in sorted(graph)),
    ]
    if bands:
        lines.append(f'<text class="band" x="{MARGIN}" y="{band_top + 14:g}">Used by most of the layers above</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _corners(level: Sequence[str], width: float, top: float) -> dict[str, tuple[float, float]]:
    left = (width - len(level) * (BOX_WIDTH + GAP) + GAP) / 2
    return {layer: (left + index * (BOX_WIDTH + GAP), top) for index, layer in enumerate(level)}


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Draw from the foot of one box to the head of another: straight to the next row, else bent in the gaps."""
    from_x, from_y = start[0] + BOX_WIDTH / 2, start[1] + BOX_HEIGHT
    to_x, to_y = end[0] + BOX_WIDTH / 2, end[1] - 2
    middle = (from_y + to_y) / 2
    return f'<path d="M{from_x:g},{from_y:g} C{from_x:g},{middle:g} {to_x:g},{middle:g} {to_x:g},{to_y:g}"/>'


def _box(layer: str, corner: tuple[float, float], sentence: str, is_foundation: bool) -> str:
    kind = "foundation" if is_foundation else "private" if layer[:1] == "_" and layer[:2] != "__" else "public"
    return f'<g class="{kind}">' + "".join(_box_parts(layer, corner, sentence)) + "</g>"


def _box_parts(layer: str, corner: tuple[float, float], sentence: str) -> Iterator[str]:
    left, top = corner
    label = PACKAGE.name if layer == "__init__" else layer
    yield f'<rect x="{left:g}" y="{top:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
    lines = textwrap.wrap(sentence, LINE_SIZE, max_lines=MOST_LINES, placeholder=" …")
    first = top + (BOX_HEIGHT - 15 * len(lines)) / 2 + 4
    yield f'<text class="name" x="{left + BOX_WIDTH / 2:g}" y="{first:g}">{escape(label)}</text>'
    for number, line in enumerate(lines, 1):
        yield f'<text x="{left + BOX_WIDTH / 2:g}" y="{first + 15 * number + 1:g}">{escape(line)}</text>'


def main() -> None:
    """Draw the package as it is."""
    FILE.write_text(picture(package_graph(), package_sentences()), encoding="utf-8")


if __name__ == "__main__":
    main()
