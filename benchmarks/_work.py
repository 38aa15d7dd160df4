"""Counts what the codec's parser does with bytes, without a clock: the same figure in every run, on every machine.

Work is bytes examined plus bytes moved. While :func:`count_work` is active, the module that cuts bytes into frames has
counting doubles in place of what touches bytes: its ``bytearray``, its compiled expressions, its ``unhexlify``. They do
the real thing and add up:

- an appended piece: its size; what a deletion at the front leaves: its size (CPython moves it only sometimes);
- a slice: its size, once for reading and once for writing; a single byte: one;
- ``find`` and ``rfind``: the bytes up to the hit, or all of the range; of an expression the same. One that is anchored
  and does not match has examined at most :data:`LONGEST_HEADER` bytes;
- hex digits that become bytes: two for each byte.

Python's own cost of a call is no part of it: a byte that arrives alone costs one ``receive_data`` in any design.
:func:`count_calls` counts that.
"""

from __future__ import annotations

import contextlib
import re
import sys
from binascii import unhexlify
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, SupportsIndex

from nbsocket._at import _framing

#: No fixed part of a line is longer: the header of a recv URC has 24 bytes.
LONGEST_HEADER = 64


@dataclass
class Work:
    """The tally."""

    examined: int = 0
    moved: int = 0

    @property
    def total(self) -> int:
        """Bytes examined and moved."""
        return self.examined + self.moved


_work = Work()


class _Buffer(bytearray):
    """A bytearray that tells what is done to it."""

    def __iadd__(self, data: Any) -> _Buffer:  # type: ignore[misc]  # its + stays that of bytearray
        _work.moved += len(data)
        super().__iadd__(data)
        return self

    def extend(self, data: Any) -> None:
        _work.moved += len(data)
        super().extend(data)

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        if isinstance(key, slice):
            _work.examined += len(value)
            _work.moved += len(value)
        else:
            _work.examined += 1
        return value

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        _work.moved += len(self)

    def find(self, what: Any, start: SupportsIndex | None = None, end: SupportsIndex | None = None) -> int:
        first, last, _ = slice(start, end).indices(len(self))
        place = super().find(what, first, last)
        _work.examined += max(0, (place + 1 if place >= 0 else last) - first)
        return place

    def rfind(self, what: Any, start: SupportsIndex | None = None, end: SupportsIndex | None = None) -> int:
        first, last, _ = slice(start, end).indices(len(self))
        place = super().rfind(what, first, last)
        _work.examined += max(0, last - (place if place >= 0 else first))
        return place


class _Pattern:
    """A compiled expression that tells how far it has looked."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern

    def match(self, data: Any, start: int = 0, end: int = sys.maxsize) -> re.Match[bytes] | None:
        match = self._pattern.match(data, start, end)
        rest = max(0, min(len(data), end) - start)
        _work.examined += min(rest, LONGEST_HEADER) if match is None else min(rest, match.end() - start + 1)
        return match

    def search(self, data: Any, start: int = 0, end: int = sys.maxsize) -> re.Match[bytes] | None:
        match = self._pattern.search(data, start, end)
        _work.examined += max(0, (min(len(data), end) if match is None else match.end()) - start)
        return match

    def fullmatch(self, data: Any, start: int = 0, end: int = sys.maxsize) -> re.Match[bytes] | None:
        _work.examined += max(0, min(len(data), end) - start)
        return self._pattern.fullmatch(data, start, end)


def _counting_unhexlify(digits: Any) -> bytes:
    data = unhexlify(digits)
    _work.examined += len(digits)
    _work.moved += len(data)
    return data


@contextlib.contextmanager
def count_work() -> Iterator[Work]:
    """Count what parsers that are made inside the block do there.

    Raises:
        RuntimeError: bytes went through the parser uncounted: it uses something that has no double here.
    """
    global _work
    module = vars(_framing)
    had_bytearray = "bytearray" in module
    saved: dict[str, Any] = {
        name: value for name, value in module.items() if isinstance(value, re.Pattern) or value is unhexlify
    }
    _work = Work()
    module["bytearray"] = _Buffer
    for name, value in saved.items():
        module[name] = _counting_unhexlify if value is unhexlify else _Pattern(value)
    try:
        yield _work
    finally:
        module.update(saved)
        if not had_bytearray:
            del module["bytearray"]
    if not _work.moved or not _work.examined:
        raise RuntimeError("the parser works on something that is not counted here")


def count_calls(function: Callable[[], object]) -> int:
    """Return how many functions, of Python and of C, ``function`` calls."""
    calls = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls
