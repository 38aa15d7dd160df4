"""nbsocket beside each peer, in turn, on the same simulator process: a row for every one, also for those that fail."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace

from benchmarks._bench import Bench
from benchmarks._peers import PEERS, Peer, Unavailable
from benchmarks._report import Effort, Row, compared, judged
from benchmarks._transfer import OURS, Direction
from benchmarks._wire import REPORT_SIZE, SEGMENT_SIZES

GROUP = "throughput"

#: To reach: against the best of the peers that are usual.
TARGET = 10.0

#: Bytes that each gets to carry, unless it is too slow for that.
_SIZE = 1 << 18


def rows(stage: Bench, effort: Effort) -> Iterator[Row]:
    """Compare, one TCP connection, on an unpaced line; payload as hex digits where the modem's commands are spoken."""
    directions: tuple[Direction, ...] = ("up", "down")
    for direction in directions:
        ours: list[float] = []
        found: dict[str, list[float]] = {}
        missing: list[Row] = []
        for _ in range(1 if effort.is_quick else 3):
            ours.append(_ours(stage, direction) / 1e6)
            for peer in PEERS:
                if peer.is_slow and effort.is_quick:
                    continue
                try:
                    rate = (peer.up if direction == "up" else peer.down)(stage, _SIZE).rate
                except Unavailable as error:
                    missing.append(_missing(direction, peer, str(error)))
                else:
                    found.setdefault(peer.name, []).append(rate / 1e6)
        yield from _judged(direction, ours, found)
        yield from {row.what: row for row in missing}.values()


def _ours(stage: Bench, direction: Direction) -> float:
    segments = _SIZE // (SEGMENT_SIZES["hex"] if direction == "up" else REPORT_SIZE)
    return OURS[direction](stage, "hex", "TCP", segments).rate


def _judged(direction: Direction, ours: list[float], found: dict[str, list[float]]) -> Iterator[Row]:
    peers = {peer.name: peer for peer in PEERS}
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    usual = [name for name in medians if peers[name].is_usual]
    best = max(usual, key=medians.__getitem__, default=None)
    for name in sorted(medians, key=lambda name: -medians[name]):
        row = compared(GROUP, f"{direction}, beside {name}", ours, "MB/s", found[name], name, note=peers[name].note)
        if name == best:
            target = judged(GROUP, "", row.value, "", reference=row.reference, at_least=TARGET)
            row = replace(row, target=target.target, is_met=target.is_met, note=f"the best usual peer; {row.note}")
        yield row


def _missing(direction: Direction, peer: Peer, reason: str) -> Row:
    return judged(GROUP, f"{direction}, beside {peer.name}", 0.0, "(not measured)", note=reason)
