"""``python -m tests.simulation.goldens``: whether the driver still says and tells what it did, seed by seed.

A golden is the digest of one run: the host's command lines and the driver's events, in order and without times. Texts
for people (log lines, sentences of errors) are left out, so that they may be reworded. The digests are in
``goldens.txt``; a change of the driver that is meant to change none of them is compared with them, and one that is
meant to gets a line with its reason at the head of that file, and new digests by ``--record``.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbsocket import _driver
from tests.simulation.connections import Violation
from tests.simulation.plan import make_plan
from tests.simulation.world import World

FILE = Path(__file__).with_name("goldens.txt")

#: Seeds that have a golden.
SEEDS = range(500)
#: Digits of a digest that are kept.
DIGITS = 16

#: The events by names of their own, so that a class may be renamed.
NAMES: dict[type[object], str] = {
    _driver.Connected: "connected",
    _driver.ConnectFailed: "failed",
    _driver.ConnectionEnded: "ended",
    _driver.ConnectionReset: "reset",
    _driver.DataReceived: "data",
    _driver.DatagramsLost: "lost",
    _driver.PeerClosed: "closed",
    _driver.RequestDone: "done",
    _driver.RequestFailed: "refused",
    _driver.RequestProgress: "progress",
    _driver.SetBaudrate: "rate",
    _driver.Stopped: "stopped",
}
#: Fields that are sentences for people.
SENTENCES = frozenset({"reason"})


def lines_of(seed: int) -> list[str]:
    """Run a seed; give what the host said (``>>``) and what the driver told (``--``), a line each."""
    world = World(make_plan(seed))
    world.trace = deque()
    try:
        world.run()
    except Violation as violation:
        return [*_lines(world.trace), f"!! {violation.kind}"]
    return list(_lines(world.trace))


def _lines(trace: Iterable[tuple[float, str, Any]]) -> Iterator[str]:
    said = b""
    for _, mark, what in trace:
        if mark == ">>":
            said += what
        elif mark == "event":
            yield from _commands(said)
            said = b""
            yield f"-- {_event(what)}"
    yield from _commands(said)


def _commands(said: bytes) -> Iterator[str]:
    yield from (f">> {line!r}" for line in said.split(b"\r") if line)


def _event(event: object) -> str:
    assert is_dataclass(event)
    parts = (_value(getattr(event, field.name)) for field in fields(event) if field.name not in SENTENCES)
    return " ".join((NAMES[type(event)], *parts))


def _value(value: object) -> str:
    """A value in words that do not depend on names of classes."""
    if isinstance(value, OSError):
        return f"errno={value.errno} result={getattr(value, 'result', None)}"
    if is_dataclass(value):
        return "(" + " ".join(_value(getattr(value, field.name)) for field in fields(value)) + ")"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_value, value)) + "]"
    return repr(value)


def digest_of(seed: int) -> str:
    """The digest of a seed's lines."""
    return sha256("\n".join(lines_of(seed)).encode()).hexdigest()[:DIGITS]


def recorded() -> dict[int, str]:
    """The digests that are kept, by seed."""
    rows = (line.split() for line in FILE.read_text(encoding="utf-8").splitlines() if line and line[0] != "#")
    return {int(seed): digest for seed, digest in rows}


def record(digests: dict[int, str]) -> None:
    """Keep these digests; the lines at the file's head stay."""
    head = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    rows = [f"{seed} {digest}" for seed, digest in sorted(digests.items())]
    FILE.write_text("\n".join((*head, *rows)) + "\n", encoding="utf-8")


def main() -> int:
    """Check the goldens; 1 when any differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.goldens", description=__doc__)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--record", action="store_true", help="keep what the driver does now")
    group.add_argument(
        "--show", type=int, metavar="SEED", help="print the lines of a seed, to compare two trees by diff"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    options = parser.parse_args()
    if options.show is not None:
        print("\n".join(lines_of(options.show)))
        return 0
    with ProcessPoolExecutor(options.jobs) as pool:
        digests = dict(zip(SEEDS, pool.map(digest_of, SEEDS, chunksize=10), strict=True))
    if options.record:
        record(digests)
        return 0
    known = recorded()
    different = [seed for seed in SEEDS if digests[seed] != known.get(seed)]
    print(f"{len(SEEDS) - len(different)} of {len(SEEDS)} seeds as recorded")
    if different:
        print("different:", *different)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
