"""The picture in docs/architecture.md is that of the code, and the files that documents name are there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.architecture_picture import (
    FILE,
    foundation,
    implied_left_out,
    package_graph,
    package_sentences,
    picture,
    rows,
)
from tests.package_imports import PACKAGE
from tests.test_documents import PAGES, ROOT

#: A door over three layers, and two things that most of them use, one of which uses the other.
GRAPH = {
    "door": frozenset({"_top", "_low", "_base"}),
    "_top": frozenset({"_middle", "_low", "_base", "_ground"}),
    "_middle": frozenset({"_low", "_ground", "_base"}),
    "_aside": frozenset({"_base"}),
    "_low": frozenset({"_ground"}),
    "_base": frozenset({"_ground"}),
    "_ground": frozenset[str](),
}


def test_picture_is_up_to_date() -> None:
    drawn = picture(package_graph(), package_sentences())
    assert FILE.read_text(encoding="utf-8") == drawn, "python -m tests.architecture_picture"


def test_every_layer_has_a_box_with_its_sentence() -> None:
    texts = [element.text for element in ElementTree.fromstring(picture(GRAPH, {"_low": "What is low & near"})).iter()]
    assert {*GRAPH, "What is low & near"} <= set(texts)


def test_another_import_changes_the_picture() -> None:
    more = {**GRAPH, "door": GRAPH["door"] | {"_aside"}}
    assert picture(more, {}) != picture(GRAPH, {})
    assert picture(more, {}).count("<path d=") == picture(GRAPH, {}).count("<path d=") + 1


def test_foundation_is_what_most_layers_stand_on() -> None:
    assert foundation(GRAPH) == {"_base", "_ground"}


def test_each_layer_stands_below_what_imports_it() -> None:
    arrows = implied_left_out({layer: imported - {"_base", "_ground"} for layer, imported in GRAPH.items()})
    assert arrows["door"] == {"_top"} and arrows["_top"] == {"_middle"}
    levels = rows({layer: imported for layer, imported in arrows.items() if layer[:2] not in ("_b", "_g")})
    assert levels == [["door"], ["_top"], ["_middle"], ["_aside", "_low"]]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_files_that_documents_name_are_there(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name in re.findall(r"`((?:nbsocket|tests|docs|compat_tests|benchmarks)/[\w/.-]*)`", text):
        assert (ROOT / name).exists(), name


def test_ten_questions_are_answered() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    answers = re.findall(r"^\| [^|`]+\? \| `nbsocket/([\w/.]+)` \|$", text, re.MULTILINE)
    assert len(answers) == 10 and all((PACKAGE / answer).exists() for answer in answers)
