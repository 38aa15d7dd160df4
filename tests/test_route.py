"""The cache of names: one look-up for many askers, nothing kept too long."""

from __future__ import annotations

import threading
from socket import EAI_NONAME, gaierror

import pytest

from nbsocket._route import CACHE_SECONDS, MAX_CACHED_NAMES, NameCache, is_local_name
from tests.helpers import PATIENCE


class Names:
    """A name server that counts, and can be held."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.timeouts: list[float | None] = []
        self.now = 100.0
        self.is_open = threading.Event()
        self.is_open.set()
        self.is_asked = threading.Event()
        self.error: OSError | None = None

    def look_up(self, name: str, timeout: float | None) -> list[str]:
        self.asked.append(name)
        self.timeouts.append(timeout)
        self.is_asked.set()
        assert self.is_open.wait(PATIENCE)
        if self.error:
            raise self.error
        return [f"192.0.2.{len(self.asked)}"]


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
