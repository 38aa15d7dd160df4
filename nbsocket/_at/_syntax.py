"""Text level of the AT syntax: errors, quoting, parameter lists, times. The bytes level is in ``_framing``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from ipaddress import IPv6Address, ip_address

from nbsocket._parameter import MAX_HOST_SIZE, check_parameter

__all__ = [
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "check_range",
    "check_ranges",
    "format_time",
    "parse_time",
    "quote",
    "read_int",
    "read_own_address",
    "read_reject_cause",
    "read_text",
    "split_fields",
]


class ProtocolError(Exception):
    """Base class of the codec's errors; never leaves a socket method."""


class LocalProtocolError(ProtocolError):
    """The caller did what the state does not allow, such as a second command while one is pending."""


class RemoteProtocolError(ProtocolError):
    """The modem's answer does not have the form that the manual gives it."""


# yy/MM/dd,hh:mm:ss±zz with zz in quarters of an hour. §2.3.9 gives it so, but its example in §4.7 has one more ":35",
# and some firmware gives the year four digits or leaves the zone out.
_TIME_RE = re.compile(r"(\d{4}|\d\d)/(\d\d?)/(\d\d?),(\d\d?):(\d\d):(\d\d)(?::\d+)?([+-]\d{1,3})?", re.ASCII)


def quote(text: str, limit: int = MAX_HOST_SIZE) -> str:
    """Give ``text`` as a quoted parameter.

    Raises:
        ValueError: see :func:`nbsocket._parameter.check_parameter`.
    """
    return f'"{check_parameter(text, limit=limit)}"'


def check_range(name: str, value: int, lowest: int, highest: int) -> None:
    """Raise ValueError, naming what is allowed, when ``value`` is outside ``lowest`` to ``highest`` or no integer."""
    if not isinstance(value, int) or not lowest <= value <= highest:
        if lowest == highest:
            raise ValueError(f"{name} must be {lowest}, not {value!r}")
        raise ValueError(f"{name} must be {lowest} to {highest}, not {value!r}")


def check_ranges(*ranges: tuple[str, int, int, int]) -> None:
    """Do the same for several: name, value, lowest and highest of each."""
    for name, value, lowest, highest in ranges:
        if not isinstance(value, int) or not lowest <= value <= highest:
            check_range(name, value, lowest, highest)


def split_fields(text: str) -> list[str | None]:
    """Split a parameter list at its commas; quotes are taken off, and an omitted parameter is None."""
    fields: list[str | None] = []
    position = 0
    while True:
        position += len(text[position:]) - len(text[position:].lstrip())
        end = -1
        if text.startswith('"', position):
            end = _end_of_quoted(text, position)
        if end >= 0:
            fields.append(text[position + 1 : end])
            comma = text.find(",", end)
        else:
            comma = text.find(",", position)
            bare = text[position : comma if comma >= 0 else len(text)].strip()
            fields.append(bare or None)
        if comma < 0:
            return fields
        position = comma + 1


def _end_of_quoted(text: str, start: int) -> int:
    """Index of the quote that closes the one at ``start``: a comma or the end follows it. -1 if there is none."""
    end = text.find('"', start + 1)
    while end >= 0:
        rest = text[end + 1 :].lstrip()
        if not rest or rest.startswith(","):
            return end
        end = text.find('"', end + 1)
    return -1


def read_int(fields: list[str | None], index: int) -> int:
    """The field ``index`` as a non-negative number; RemoteProtocolError when it is none or is missing."""
    value = fields[index] if index < len(fields) else None
    if value is None or not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise RemoteProtocolError(f"parameter {index + 1} of {fields!r} should be a number")
    return int(value)


def read_text(fields: list[str | None], index: int) -> str:
    """The field ``index`` as text; RemoteProtocolError when it is missing, "" when it is empty."""
    if index >= len(fields):
        raise RemoteProtocolError(f"parameter {index + 1} of {fields!r} is missing")
    return fields[index] or ""


def read_own_address(text: str) -> str | None:
    """The modem's own address from +IP or +CGPADDR; None when it is none, or an address that says "none".

    An IPv6 address may come as 16 numbers with dots between them. TS 27.007 §10.1.14.
    """
    numbers = text.split(".")
    try:
        if len(numbers) == 16:
            return str(IPv6Address(bytes(map(int, numbers))))
        address = ip_address(text)
    except ValueError:
        return None
    return None if address.is_unspecified else text


def read_reject_cause(fields: list[str | None], index: int) -> tuple[int | None, int | None]:
    """<cause_type> and <reject_cause> of +CEREG from field ``index`` on; None where they are not told.

    They only explain: what is no number does not make the line a malformed one.
    """
    texts = (fields[at] if at < len(fields) else None for at in (index, index + 1))
    kind, cause = (int(text) if text is not None and re.fullmatch(r"[0-9]{1,3}", text) else None for text in texts)
    return kind, cause


def parse_time(text: str) -> datetime:
    """Read the modem's time, ``YY/MM/DD,hh:mm:ss±zz``, as an aware datetime in UTC.

    The clock shows the time of the zone that follows it, as in TS 27.007 §8.15 (+CCLK).

    Raises:
        RemoteProtocolError: it is no time.
    """
    match = _TIME_RE.fullmatch(text.strip().strip('"'))
    if match is None:
        raise RemoteProtocolError(f"not a time: {text!r}")
    year, month, day, hour, minute, second = (int(group) for group in match.groups()[:6])
    offset = timedelta(minutes=15 * int(match[7] or 0))
    try:
        local = datetime(year + 2000 if year < 100 else year, month, day, hour, minute, second, tzinfo=timezone.utc)
        return local - offset
    except (ValueError, OverflowError) as exc:
        raise RemoteProtocolError(f"not a time: {text!r}") from exc


def format_time(moment: datetime) -> str:
    """Give an aware datetime as the modem writes it, in UTC; ValueError for a naive one or outside 2000-2099."""
    if moment.tzinfo is None:
        raise ValueError("the module's clock needs a datetime with a time zone")
    utc = moment.astimezone(timezone.utc)
    if not 2000 <= utc.year <= 2099:
        raise ValueError(f"the module's clock runs from 2000 to 2099, not to {utc.year}")
    return utc.strftime("%y/%m/%d,%H:%M:%S+00")
