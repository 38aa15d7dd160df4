"""Bypass lists: syntax and what they cover."""

from __future__ import annotations

import pytest

from nbsocket._routing._bypass import NOTHING, Bypass

DEFAULT = (
    "127.0.0.1",
    "127.8.9.1",
    "::1",
    "169.254.1.1",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:127.0.0.1",
    "127.1",
    "2130706433",
)
LOCAL_WILDCARDS = ("", "0.0.0.0", "::")
FOREIGN = (
    "192.0.2.1",
    "10.0.0.1",
    "2001:db8::1",
    "example.com",
    "localhost.example",
    "::ffff:192.0.2.1",
    "127.0.0.1.example",
)


@pytest.mark.parametrize("spec", [None, "", "  ", " , ", []])
def test_the_default_is_loopback_and_link_local(spec: str | None) -> None:
    rules = Bypass.parse(spec)
    assert [host for host in (*DEFAULT, *LOCAL_WILDCARDS) if not rules.covers(host)] == []
    assert [host for host in FOREIGN if rules.covers(host)] == []


@pytest.mark.parametrize("spec", ["none", ["none"]])
def test_none_is_nothing_at_all(spec: str | list[str]) -> None:
    rules = Bypass.parse(spec)
    assert rules == NOTHING
    assert not any(rules.covers(host) for host in (*DEFAULT, *LOCAL_WILDCARDS, *FOREIGN))


def test_a_star_is_everything() -> None:
    assert all(Bypass.parse("*").covers(host) for host in (*DEFAULT, *LOCAL_WILDCARDS, *FOREIGN))


@pytest.mark.parametrize(
    ("spec", "covered", "not_covered"),
    [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
        ("10.1.2.3/8", "10.255.0.1", "11.0.0.1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
        ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
        ("[2001:db8::1]", "2001:db8::1", "2001:db8::2"),
        ("intranet.example", "intranet.example", "xintranet.example"),
        ("intranet.example", "a.b.Intranet.Example.", "intranet.example.org"),
        (".lan", "printer.lan", "plan"),
        ("*.lan", "printer.lan", "lanx"),
        ("a.example, b.example 10.0.0.0/8", "b.example", "c.example"),
        (["a.example", "10.0.0.0/8,b.example"], "b.example", "c.example"),
    ],
)
def test_entries(spec: str | list[str], covered: str, not_covered: str) -> None:
    rules = Bypass.parse(spec)
    assert rules.covers(covered)
    assert not rules.covers(not_covered)
    assert rules.covers("127.0.0.1")


def test_none_with_entries_is_those_alone() -> None:
    rules = Bypass.parse("none,10.0.0.0/8")
    assert rules.covers("10.0.0.1")
    assert not rules.covers("127.0.0.1")


@pytest.mark.parametrize("entry", ["a.example:80", "10.0.0.0/99", "http://a", "a b/c", "\x01", "*x", "a*b", "-"])
def test_what_makes_no_sense_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="bypass entry"):
        Bypass.parse(entry)


def test_equal_lists_compare_equal() -> None:
    assert Bypass.parse("b.example , 10.0.0.0/8") == Bypass.parse(["10.0.0.0/8", ".B.example"])
    assert Bypass.parse(None) != Bypass.parse("none")
