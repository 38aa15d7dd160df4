r"""Byte transcripts of every example in chapter 4 of the BC260Y-CN TCP/IP guide 1.1, and their loader.

One file an example, named ``<section>-<name>.txt``; those of other models are in a folder each. Its lines:

    # comment                       about the file
    # [the server sends ...]        what happens outside the serial line at this point
    >>> AT+QISTATE=1,0\r            host to module
    <<< \r\nOK\r\n                  module to host, framed as a module frames it

Bytes are written with Python's escapes. Spelling and parameters are the manual's, slips included; it prints no frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["MODEL_NAMES", "NAMES", "Step", "load"]

_HERE = Path(__file__).parent

#: Every transcript, in the manual's order.
NAMES = sorted(
    (path.stem for path in _HERE.glob("*.txt")),
    key=lambda name: [int(number) for number in name.partition("-")[0].split(".")],
)

#: Those of other models, by folder.
MODEL_NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in _HERE.glob("*/*.txt"))


@dataclass(frozen=True)
class Step:
    """One line of a transcript."""

    #: "host": the host writes ``data``; "module": the module does; "note": ``text`` happens outside the serial line.
    kind: Literal["host", "module", "note"]
    data: bytes = b""
    text: str = ""


def load(name: str) -> list[Step]:
    """Read the transcript ``name``, without its comments."""
    steps = (_read(line) for line in (_HERE / f"{name}.txt").read_text("utf-8").splitlines())
    return [step for step in steps if step is not None]


def _read(line: str) -> Step | None:
    if line.startswith("# ["):
        return Step("note", text=line[3:].rstrip("]"))
    if not line or line.startswith("#"):
        return None
    mark, _, text = line.partition(" ")
    data = text.encode("ascii").decode("unicode_escape").encode("latin-1")
    if mark == ">>>":
        return Step("host", data)
    if mark == "<<<":
        return Step("module", data)
    raise ValueError(f"not a line of a transcript: {line!r}")
