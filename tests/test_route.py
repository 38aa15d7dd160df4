"""The cache of names: one look-up for many askers, nothing kept too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import EAI_NONAME, gaierror

import pytest

from nbsocket._routing._route import CACHE_SECONDS, MAX_CACHED_NAMES, NameCache, is_local_name
from tests.helpers import PATIENCE, run_isolated


class Names:
    """A name server that counts, and can be held."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.timeouts: list[float | None] = []
        self.now = 100.0
        self.is_open = threading.Event()
        self.is_open.set()
        self.is_asked = threading.Event()
        self.error: BaseException | None = None
        #: How often it fails with ``error``; None: always.
        self.errors_left: int | None = None

    def look_up(self, name: str, timeout: float | None) -> list[str]:
        self.asked.append(name)
        self.timeouts.append(timeout)
        self.is_asked.set()
        assert self.is_open.wait(PATIENCE)
        if self.error and self.errors_left != 0:
            self.errors_left = None if self.errors_left is None else self.errors_left - 1
            raise self.error
        return [f"192.0.2.{len(self.asked)}"]


def waiting_for(cache: NameCache, name: str) -> int:
    """How many threads wait for a look-up of another one."""
    flight = cache._in_flight.get(name)
    return 0 if flight is None else len(flight.outcome._callbacks)


def until(condition: Callable[[], bool]) -> None:
    """Wait for other threads to come so far."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@contextmanager
def running(*functions: Callable[[], object]) -> Iterator[None]:
    """Run them on threads of their own, which have ended at the end of the block."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def cache(names: Names) -> NameCache:
    return NameCache(names.look_up, lambda: names.now)


def test_an_answer_is_kept_for_a_while(names: Names, cache: NameCache) -> None:
    assert cache.resolve("a.example") == cache.resolve("A.Example.") == ["192.0.2.1"]
    assert names.asked == ["a.example"]
    names.now += CACHE_SECONDS
    assert cache.resolve("a.example") == ["192.0.2.2"]


def test_a_callers_list_is_its_own(cache: NameCache) -> None:
    cache.resolve("a.example").clear()
    assert cache.resolve("a.example") == ["192.0.2.1"]
    cache.resolve("a.example").clear()
    assert cache.resolve("a.example") == ["192.0.2.1"]


def test_failures_are_not_kept(names: Names, cache: NameCache) -> None:
    names.error = gaierror(EAI_NONAME, "no")
    for _ in range(2):
        with pytest.raises(gaierror):
            cache.resolve("a.example")
    assert len(names.asked) == 2
    names.error = None
    assert cache.resolve("a.example") == ["192.0.2.3"]


def test_the_cache_is_bounded(names: Names, cache: NameCache) -> None:
    for number in range(MAX_CACHED_NAMES + 1):
        cache.resolve(f"{number}.example")
    cache.resolve("1.example")
    assert len(names.asked) == MAX_CACHED_NAMES + 1
    cache.resolve("0.example")
    assert len(names.asked) == MAX_CACHED_NAMES + 2


def test_many_threads_cost_one_look_up(names: Names, cache: NameCache) -> None:
    names.is_open.clear()
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(cache.resolve("a.example"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert names.is_asked.wait(PATIENCE)
    names.is_open.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == [["192.0.2.1"]] * 8
    assert names.asked == ["a.example"]


def test_many_threads_share_a_failure(names: Names, cache: NameCache) -> None:
    names.is_open.clear()
    names.error = gaierror(EAI_NONAME, "no")
    found: list[OSError] = []

    def ask() -> None:
        with pytest.raises(gaierror) as caught:
            cache.resolve("a.example")
        found.append(caught.value)

    with running(*[ask] * 8):
        assert names.is_asked.wait(PATIENCE)
        until(lambda: waiting_for(cache, "a.example") == 7)
        names.is_open.set()
    assert names.asked == ["a.example"]
    assert len({id(error) for error in found}) == 8 and {error.args for error in found} == {(EAI_NONAME, "no")}


def test_a_look_up_that_is_given_up_is_asked_again_for_the_others(names: Names, cache: NameCache) -> None:
    names.is_open.clear()
    names.error = TimeoutError("timed out")
    found: list[list[str]] = []

    def give_up() -> None:
        with pytest.raises(TimeoutError):
            cache.resolve("a.example", 3.0)

    with running(give_up):
        assert names.is_asked.wait(PATIENCE)
        with running(*[lambda: found.append(cache.resolve("a.example", 60.0))] * 3):
            until(lambda: waiting_for(cache, "a.example") == 3)
            names.now += 3.0
            names.errors_left = 1
            names.is_open.set()
    assert found == [["192.0.2.2"]] * 3
    assert names.asked == ["a.example"] * 2
    assert names.timeouts == [3.0, 57.0]


def test_a_look_up_on_top_of_one_of_the_same_thread_does_not_wait_for_it(names: Names, cache: NameCache) -> None:
    found: list[list[str]] = []

    def look_up(name: str, timeout: float | None) -> list[str]:
        if not found:
            found.append([])
            found.append(cache.resolve(name, 1.0))  # as a signal handler would that runs now
        return names.look_up(name, timeout)

    cache = NameCache(look_up, lambda: names.now)
    assert cache.resolve("a.example") == ["192.0.2.2"]
    assert found == [[], ["192.0.2.1"]]


def test_an_interrupted_look_up_does_not_fail_the_others(names: Names, cache: NameCache) -> None:
    names.is_open.clear()
    names.error = KeyboardInterrupt()
    names.errors_left = 1
    found: list[list[str]] = []

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            cache.resolve("a.example")

    with running(interrupted):
        assert names.is_asked.wait(PATIENCE)
        with running(lambda: found.append(cache.resolve("a.example"))):
            until(lambda: waiting_for(cache, "a.example") == 1)
            names.is_open.set()
    assert found == [["192.0.2.2"]]


def test_waiting_for_another_threads_look_up_ends_in_time(names: Names, cache: NameCache) -> None:
    names.is_open.clear()
    thread = threading.Thread(target=cache.resolve, args=("a.example",))
    thread.start()
    assert names.is_asked.wait(PATIENCE)
    with pytest.raises(TimeoutError):
        cache.resolve("a.example", 0.01)
    names.is_open.set()
    thread.join(PATIENCE)


def test_the_timeout_is_handed_on(names: Names, cache: NameCache) -> None:
    cache.resolve("a.example", 3.0)
    cache.resolve("b.example")
    assert names.timeouts == [3.0, None]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.localhost", "localhost.localdomain", "ip6-localhost"])
def test_local_names(name: str) -> None:
    assert is_local_name(name)


@pytest.mark.parametrize("name", ["localhost.example", "example", "xlocalhost", ""])
def test_other_names(name: str) -> None:
    assert not is_local_name(name)


def test_a_signal_handler_may_look_up_on_top_of_a_look_up() -> None:
    assert run_isolated("look_up_in_handler.py", "5").splitlines()[-1] == "done"
