"""Quoting, parameter lists, times."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbsocket._at import RemoteProtocolError, parse_time, quote
from nbsocket._at._syntax import format_time, read_int, read_text, split_fields

UTC = timezone.utc


@pytest.mark.parametrize("text", ["", "example.com", "a b", "2001:db8::1", "x" * 150, "~!#$%&'()*+,-./:;<=>?@[]^_`{|}"])
def test_quote(text: str) -> None:
    assert quote(text) == f'"{text}"'


@given(st.text())
def test_nothing_that_is_quoted_can_end_the_parameter(text: str) -> None:
    try:
        quoted = quote(text)
    except ValueError:
        assert len(text) > 150 or not text.isascii() or not text.isprintable() or set(text) & {'"', "\\"}
    else:
        assert quoted.count('"') == 2
        assert all(" " <= character <= "~" for character in quoted)
        assert "\\" not in quoted


def test_quote_names_its_limit() -> None:
    with pytest.raises(ValueError, match="at most 150 bytes"):
        quote("x" * 151)
    with pytest.raises(ValueError, match="at most 64 bytes"):
        quote("x" * 65, 64)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", [None]),
        ("1", ["1"]),
        ("1,2", ["1", "2"]),
        ("1, 2 ,3", ["1", "2", "3"]),
        (",", [None, None]),
        ("1,,3", ["1", None, "3"]),
        ('""', [""]),
        ('"a"', ["a"]),
        ('"a,b",c', ["a,b", "c"]),
        ('0,"TCP","h",80', ["0", "TCP", "h", "80"]),
        (' "a" , "b" ', ["a", "b"]),
        ('"a"b",c', ['a"b', "c"]),
        ('"a', ['"a']),
        ('"a,b', ['"a', "b"]),
        ('a"b"', ['a"b"']),
        ('"19/06/11,11:08:20:35+32"', ["19/06/11,11:08:20:35+32"]),
    ],
)
def test_split_fields(text: str, fields: list[str | None]) -> None:
    assert split_fields(text) == fields


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    assert split_fields(text)


@given(st.lists(st.text(st.characters(exclude_characters='"'), min_size=1), min_size=1))
def test_quoted_fields_come_back(texts: list[str]) -> None:
    assert split_fields(",".join(f'"{text}"' for text in texts)) == texts


def test_read_fields() -> None:
    assert read_int(["7"], 0) == 7
    assert read_text(["x", None], 0) == "x"
    assert read_text(["x", None], 1) == ""
    malformed: list[list[str | None]] = [[], [None], ["x"], ["-1"], ["1.0"], ["²"]]
    for fields in malformed:
        with pytest.raises(RemoteProtocolError):
            read_int(fields, 0)
    with pytest.raises(RemoteProtocolError):
        read_text(["x"], 1)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("19/06/11,11:08:20+32", datetime(2019, 6, 11, 3, 8, 20, tzinfo=UTC)),
        ('"19/06/11,11:08:20+32"', datetime(2019, 6, 11, 3, 8, 20, tzinfo=UTC)),
        # As §4.7 prints it.
        ("19/06/11,11:08:20:35+32", datetime(2019, 6, 11, 3, 8, 20, tzinfo=UTC)),
        ("2019/06/11,11:08:20+32", datetime(2019, 6, 11, 3, 8, 20, tzinfo=UTC)),
        ("19/06/11,11:08:20-20", datetime(2019, 6, 11, 16, 8, 20, tzinfo=UTC)),
        ("19/06/11,11:08:20+00", datetime(2019, 6, 11, 11, 8, 20, tzinfo=UTC)),
        ("19/06/11,11:08:20", datetime(2019, 6, 11, 11, 8, 20, tzinfo=UTC)),
        ("19/12/31,23:59:59-01", datetime(2020, 1, 1, 0, 14, 59, tzinfo=UTC)),
    ],
)
def test_parse_time(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment
    assert parse_time(text).utcoffset() == moment.utcoffset()


@pytest.mark.parametrize("text", ["", "now", "19/06/11", "19/13/11,11:08:20", "00/00/01,00:00:00+00", "1/1/1,1:1:1"])
def test_not_a_time(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_time(text)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC)))
def test_times_come_back(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)
