"""The kinds of values that an option of the simulator may have: how its text is read, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from ._hosts import is_address

_YES = frozenset({"1", "yes", "true", "on"})
_NO = frozenset({"0", "no", "false", "off"})
_NONE = frozenset({"", "none"})

TextReader = Callable[[str], Any]
Check = Callable[[Any], str | None]

#: How a kind's text is read, what is wrong with a value (None: nothing), and the choices to show.
Kind = tuple[TextReader, Check, tuple[str, ...]]


def choice(*allowed: str) -> Kind:
    """One of these words."""
    sentence = "must be one of " + ", ".join(allowed)
    return str, lambda value: None if value in allowed else sentence, allowed


def number(low: float, high: float, kind: type = int, optional: bool = False) -> Kind:
    """A number from ``low`` to ``high``; ``optional``: or none."""
    noun = "an integer" if kind is int else "a number"
    top = "" if high == float("inf") else f" to {high}"
    sentence = f"must be {noun} of {low}{top or ' or more'}" + (", or none" if optional else "")

    def check(value: Any) -> str | None:
        if value is None:
            return None if optional else sentence
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or (kind is int and not isinstance(value, int))
        ):
            return sentence
        return None if low <= value <= high and isfinite(value) else sentence

    def read(text: str) -> Any:
        return None if optional and text.lower() in _NONE else kind(text)

    return read, check, ()


def yes_no() -> Kind:
    """Yes or no."""

    def read(text: str) -> bool:
        if text.lower() not in _YES | _NO:
            raise ValueError(text)
        return text.lower() in _YES

    return read, lambda value: None if isinstance(value, bool) else "must be yes or no", ()


def matching(pattern: str, sentence: str) -> Kind:
    """A text of this pattern."""
    expression = re.compile(pattern)
    return str, lambda value: None if isinstance(value, str) and expression.fullmatch(value) else sentence, ()


def numbers(kind: type, sentence: str) -> Kind:
    """Numbers separated by commas."""

    def check(value: Any) -> str | None:
        is_good = isinstance(value, tuple) and all(isinstance(item, (int, float)) and item >= 0 for item in value)
        return None if is_good else sentence

    return lambda text: tuple(kind(item) for item in text.split(",") if item), check, ()


def ip_address() -> Kind:
    """An IP address."""
    return str, lambda value: None if is_address(value) else "must be an IPv4 or IPv6 address", ()


def ip_addresses(count: int) -> Kind:
    """So many IP addresses, each of which may be empty."""
    sentence = f"must be {count} IP addresses separated by commas, each of which may be empty"

    def read(text: str) -> tuple[str, ...]:
        items = text.split(",")
        return tuple(items + [""] * (count - len(items)))

    def check(value: Any) -> str | None:
        is_good = (
            isinstance(value, tuple) and len(value) == count and all(not item or is_address(item) for item in value)
        )
        return None if is_good else sentence

    return read, check, ()


def pairs_of(check_entry: Callable[[str, str], str | None]) -> Kind:
    """Pairs of texts, each checked by ``check_entry``."""

    def read(text: str) -> tuple[str, str]:
        name, separator, value = text.partition("=")
        if not separator or not name or not value:
            raise ValueError(text)
        return name, value

    def check(value: Any) -> str | None:
        if not isinstance(value, Mapping):
            return "must be a mapping of texts"
        return next((problem for item in value.items() if (problem := check_entry(*item))), None)

    return read, check, ("NAME=VALUE",)


def command_names() -> Kind:
    """Names of commands."""
    sentence = "must be names of commands separated by commas, such as CESQ,QENG"

    def check(value: Any) -> str | None:
        is_good = isinstance(value, tuple) and all(re.fullmatch(r"[A-Z][A-Z0-9]*", str(item)) for item in value)
        return None if is_good else sentence

    return lambda text: tuple(item.strip().lstrip("+").upper() for item in text.split(",") if item), check, ()
