"""Fairness: connections that share the line get the same of it, and bulk does not starve a conversation."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import nbsocket
from benchmarks._bench import Bench, DataFormat, ServersProcess, bench, connected
from benchmarks._report import Effort, Row, judged, percentile
from benchmarks._servers import pattern
from benchmarks._wire import SEGMENT_SIZES, limit_up

BAUDRATE = 115200
CONNECTIONS = 5

SHARE_TARGET = 1.1
TRIP_TARGET = 3.0

PAYLOAD = b"0123456789"


def run(effort: Effort) -> Iterator[Row]:
    """With hex digits and raw."""
    formats: tuple[DataFormat, ...] = ("hex",) if effort.is_quick else ("hex", "raw")
    with ServersProcess() as servers, bench(BAUDRATE, servers) as stage:
        for data_format in formats:
            yield _shares(stage, data_format, effort)
            yield from _conversation(stage, data_format, effort)


def _segment_time(data_format: DataFormat) -> float:
    return SEGMENT_SIZES[data_format] / limit_up(data_format, BAUDRATE)


class _Bulk:
    """Senders that go on until the end of the block; their connections are then cut."""

    def __init__(self, socks: list[nbsocket.socket]) -> None:
        self._socks = socks
        self._is_over = False
        self._threads = [threading.Thread(target=self._send, args=(sock,), daemon=True) for sock in socks]

    def __enter__(self) -> _Bulk:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for sock in self._socks:
            with suppress(OSError):
                sock.setsockopt(nbsocket.SOL_SOCKET, nbsocket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.shutdown(nbsocket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _send(self, sock: nbsocket.socket) -> None:
        data = pattern(4096)
        with suppress(OSError):
            while not self._is_over:
                sock.sendall(data)


def _shares(stage: Bench, data_format: DataFormat, effort: Effort) -> Row:
    # Enough turns that a segment more or less at the ends of the window is no tenth.
    turns = 12 if effort.is_quick else 40
    seconds = turns * CONNECTIONS * _segment_time(data_format)
    with ExitStack() as stack:
        modem = stack.enter_context(stage.modem(data_format))
        port = stage.servers.port("TCP", "sink")
        socks = [stack.enter_context(connected(modem, "TCP", port)) for _ in range(CONNECTIONS)]
        stage.servers.reset()
        with _Bulk(socks):
            # The first round of turns is over when everybody has sent; from then on it is counted.
            stage.servers.wait(2 * CONNECTIONS * SEGMENT_SIZES[data_format])
            before = [item.total for item in stage.servers.look()]
            time.sleep(seconds)
            counts = [item.total - old for item, old in zip(stage.servers.look(), before, strict=True)]
    return judged(
        "fairness",
        f"5 connections sending, {data_format}: most / least goodput",
        max(counts) / max(1, min(counts)),
        "",
        at_most=SHARE_TARGET,
        note=f"bytes of each in {seconds:.0f} s: {', '.join(map(str, sorted(counts)))}",
    )


def _conversation(stage: Bench, data_format: DataFormat, effort: Effort) -> Iterator[Row]:
    trips = 10 if effort.is_quick else 60
    with ExitStack() as stack:
        modem = stack.enter_context(stage.modem(data_format))
        port = stage.servers.port("TCP", "sink")
        socks = [stack.enter_context(connected(modem, "TCP", port)) for _ in range(CONNECTIONS - 1)]
        interactive = stack.enter_context(connected(modem, "TCP", stage.servers.port("TCP", "echo")))
        with _Bulk(socks):
            stage.servers.reset()
            stage.servers.wait(CONNECTIONS * SEGMENT_SIZES[data_format])
            seconds = [_trip(interactive, number) for number in range(trips)]
    name = f"round trip beside 4 senders, {data_format}"
    for label, share in (("p50", 0.5), ("p95", 0.95)):
        yield judged(
            "fairness",
            f"{name}, {label}",
            percentile(seconds, share) * 1e3,
            "ms",
            reference=_segment_time(data_format) * 1e3,
            reference_name="segment",
            at_most=TRIP_TARGET,
            spread=(min(seconds) * 1e3, max(seconds) * 1e3),
            note="" if label == "p95" else f"mean {statistics.mean(seconds) * 1e3:.0f} ms",
        )


def _trip(sock: nbsocket.socket, number: int) -> float:
    # Not in step with the others' turns.
    time.sleep(0.013 * (number % 7))
    start = time.perf_counter()
    sock.send(PAYLOAD)
    size = 0
    while size < len(PAYLOAD):
        size += len(sock.recv(64))
    return time.perf_counter() - start
