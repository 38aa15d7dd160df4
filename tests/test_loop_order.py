"""What a thread did to its descriptors before it asked the engine for something is seen before it is done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._engine._loop import Loop
from nbsocket._engine._poller import Ready
from tests.helpers import PATIENCE, echo, tcp_server


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    """Two pipes: (read end, write end)."""
    made = [os.pipe() for _ in range(2)]
    yield made
    for ends in made:
        for fd in ends:
            os.close(fd)


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that does nothing by itself."""
    crashes: list[Exception] = []
    loop = Loop(after=lambda: None, next_deadline=lambda: None, crashed=crashes.append)
    yield loop
    loop.call(loop.stop).result(PATIENCE)
    loop.join(PATIENCE)
    assert [str(crash) for crash in crashes] in ([], ["once"])


def test_descriptors_before_calls(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    (first, to_first), (second, to_second) = pipes
    order: list[str] = []
    done = []

    def first_ready(ready: Ready) -> None:
        # As another thread may do in the middle of a round.
        os.read(first, 1)
        os.write(to_second, b"x")
        done.append(loop.call(lambda: order.append("call")))

    def second_ready(ready: Ready) -> None:
        os.read(second, 1)
        order.append("descriptor")

    def watch() -> None:
        loop.watch(first, first_ready, read=True)
        loop.watch(second, second_ready, read=True)
        os.write(to_first, b"x")

    loop.call(watch).result(PATIENCE)
    while not done:
        loop.call(lambda: None).result(PATIENCE)
    done[0].result(PATIENCE)
    assert order == ["descriptor", "call"]


def test_calls_survive_a_handler_that_fails(loop: Loop, pipes: list[tuple[int, int]]) -> None:
    (first, to_first), (second, to_second) = pipes
    done = []

    def first_ready(ready: Ready) -> None:
        os.read(first, 1)
        os.write(to_second, b"x")
        done.append(loop.call(lambda: "called"))

    def second_ready(ready: Ready) -> None:
        os.read(second, 1)
        raise ValueError("once")

    def watch() -> None:
        loop.watch(first, first_ready, read=True)
        loop.watch(second, second_ready, read=True)
        os.write(to_first, b"x")

    loop.call(watch).result(PATIENCE)
    while not done:
        loop.call(lambda: None).result(PATIENCE)
    assert done[0].result(PATIENCE) == "called"


def test_five_new_connections_right_after_five_closed_ones(make_modem: Callable[..., Modem]) -> None:
    modem = make_modem()
    with tcp_server(echo) as port:
        for _ in range(10):
            socks = [nbsocket.socket(modem=modem) for _ in range(5)]
            for sock in socks:
                sock.settimeout(PATIENCE)
                sock.connect(("198.51.100.7", port))
            for sock in socks:
                sock.close()
