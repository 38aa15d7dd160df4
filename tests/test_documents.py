"""The documents: their links lead somewhere, and every page is in the site's list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *SITE]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as both GitHub and the site make them of ASCII titles."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_sites_list() -> None:
    listed = set(re.findall(r"([\w/-]+\.md)", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in SITE}


def commands(page: Path) -> list[str]:
    """Return what a page lets one type: the lines of its shell blocks, and the commands in its tables."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    return lines + re.findall(
        r"`((?:nbsocket|sudo|ls|nc|date) [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )


@pytest.mark.parametrize("name", ["getting-started.md", "troubleshooting.md"])
def test_chinese_pages_have_the_same_commands(name: str) -> None:
    english, chinese = commands(ROOT / "docs" / name), commands(ROOT / "docs" / "zh" / name)
    assert len(english) > 5 and chinese == english


def test_chinese_page_of_the_doctor_has_every_check_that_can_fail() -> None:
    english = set(re.findall(r"^\| ([\w, -]+) \|", (ROOT / "docs/doctor.md").read_text(), re.MULTILINE))
    checks = {check for row in english for check in row.split(", ")} - {"Check", "ModemManager", "access point"}
    rows = re.findall(r"^\| ([\w -]+) \|", (ROOT / "docs/zh/doctor.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert checks - {"data format"} <= set(rows)


#: What stands in a sentence by chance.
VARYING = "|".join(
    [
        r"/dev/ttyUSB0",
        r"\.\.\.",
        r"\(result \d+\)",
        r"120 s",
        r"\b5\b",
        "not registered, searching",
        "registered, home network",
        "at any baud rate",
    ]
)


def test_sentences_of_troubleshooting_are_said() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    sentences = re.findall(r"^\| (?!It says|---)([^|]+) \|", page, re.MULTILINE)
    source = " ".join(
        re.sub(r"\"\s*\n\s*f?\"|\{[^{}\n]*\}", "", path.read_text()) for path in (ROOT / "nbsocket").rglob("*.py")
    )
    for sentence in sentences:
        words = re.sub(VARYING, "|", sentence)
        pieces = [piece.strip(" :|,") for piece in re.split(r"\|", words)]
        if "certificate" in sentence:
            continue  # OpenSSL's
        assert all(piece in source for piece in pieces if piece), sentence
