"""Addresses: refused at once, with the standard library's errors, and nothing unsafe gets by."""

from __future__ import annotations

import socket
from socket import AF_INET, AF_INET6, EAI_NONAME
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbsocket._routing._addresses import (
    MAX_HOST_SIZE,
    Address,
    check_destination,
    encode_name,
    parse_address,
    parse_literal,
)

WRONG: list[tuple[int, Any]] = [
    (AF_INET, "host"),
    (AF_INET, None),
    (AF_INET, ["127.0.0.1", 80]),
    (AF_INET, ("127.0.0.1",)),
    (AF_INET, ("127.0.0.1", 80, 0)),
    (AF_INET, ("127.0.0.1", "80")),
    (AF_INET, ("127.0.0.1", 80.0)),
    (AF_INET, ("127.0.0.1", None)),
    (AF_INET, ("127.0.0.1", -1)),
    (AF_INET, ("127.0.0.1", 65536)),
    (AF_INET, (None, 80)),
    (AF_INET, (1, 80)),
    (AF_INET, ("a\0b", 80)),
    (AF_INET6, ("::1",)),
    (AF_INET6, ("::1", 80, 0, 0, 0)),
    (AF_INET6, ("::1", 65536)),
    (AF_INET6, ("::1", 80, 0x100000)),
    (AF_INET6, ("::1", 80, "0")),
    (AF_INET6, "::1"),
]


@pytest.mark.parametrize(("family", "address"), WRONG, ids=str)
def test_wrong_addresses_raise_what_the_standard_library_raises(family: int, address: Any) -> None:
    with socket.socket(family) as genuine, pytest.raises((TypeError, OverflowError)) as theirs:
        genuine.bind(address)
    with pytest.raises(theirs.type):
        parse_address(family, address, "bind")


def test_the_message_names_the_call() -> None:
    with pytest.raises(OverflowError, match=r"^connect\(\): port must be 0-65535\.$"):
        parse_address(AF_INET, ("127.0.0.1", 70000), "connect")


@pytest.mark.parametrize(
    ("family", "address", "expected"),
    [
        (AF_INET, ("192.0.2.1", 80), ("192.0.2.1", 80)),
        (AF_INET, (b"192.0.2.1", True), ("192.0.2.1", 1)),
        (AF_INET, (bytearray(b"192.0.2.1"), 80), ("192.0.2.1", 80)),
        (AF_INET, ("127.1", 80), ("127.0.0.1", 80)),
        (AF_INET, ("0x7f.1", 80), ("127.0.0.1", 80)),
        (AF_INET, ("<broadcast>", 80), ("255.255.255.255", 80)),
        (AF_INET, ("", 80), ("0.0.0.0", 80)),
        (AF_INET, ("Host.Example", 80), ("Host.Example", 80)),
        (AF_INET, ("bücher.example", 80), ("xn--bcher-kva.example", 80)),
        (AF_INET6, ("2001:DB8::1", 80), ("2001:db8::1", 80, 0, 0)),
        (AF_INET6, ("2001:db8::1", 80, 7, 3), ("2001:db8::1", 80, 7, 3)),
        (AF_INET6, ("::ffff:1.2.3.4", 80), ("::ffff:1.2.3.4", 80, 0, 0)),
        (AF_INET6, ("fe80:0::1%eth0", 80), ("fe80::1%eth0", 80, 0, 0)),
        (AF_INET6, ("", 80), ("::", 80, 0, 0)),
    ],
)
def test_right_addresses(family: int, address: Any, expected: tuple[Any, ...]) -> None:
    assert parse_address(family, address, "connect").sockaddr() == expected


@pytest.mark.parametrize(("family", "host"), [(AF_INET, "::1"), (AF_INET6, "127.0.0.1"), (AF_INET6, "127.1")])
def test_a_literal_of_the_other_family(family: int, host: str) -> None:
    with socket.socket(family) as genuine, pytest.raises(socket.gaierror) as theirs:
        genuine.bind((host, 0))
    with pytest.raises(socket.gaierror) as ours:
        parse_address(family, (host, 80), "connect")
    assert ours.value.errno == theirs.value.errno


@pytest.mark.parametrize(
    "host",
    [
        'x",1\r\nAT+CFUN=0\r',
        'a"b',
        "a\rb",
        "a\nb",
        "a b",
        "a\tb",
        "a\x7fb",
        "a,b",
        "a\x1ab",
        "ａ＂ｂ",
        "a" * 50 + "." + "b.c" * 40,
    ],
)
def test_what_could_inject_commands_is_no_name(host: str) -> None:
    with pytest.raises(socket.gaierror) as caught:
        parse_address(AF_INET, (host, 80), "connect")
    assert caught.value.errno == EAI_NONAME


@given(st.text(max_size=200))
def test_no_text_gets_past_as_anything_but_a_plain_parameter(host: str) -> None:
    try:
        name = encode_name(host)
    except (socket.gaierror, UnicodeError):
        return
    assert len(name) <= MAX_HOST_SIZE
    assert all("!" <= char <= "~" for char in name)
    assert not set(name) & set('",\\;')


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f000001", "2130706433", "1.2.3.4", "::1", "fe80::1%eth0", "::ffff:1.2.3.4"]
)
def test_literals(host: str) -> None:
    assert parse_literal(host) is not None


@pytest.mark.parametrize(
    "host", ["", "a", "1.2.3.4 x", "1.2.3.4\n", "1.2.3.256", "face", "dead.beef", "1.2.3.4.5", "x1"]
)
def test_names_are_no_literals(host: str) -> None:
    assert parse_literal(host) is None


@pytest.mark.parametrize(
    ("host", "wire_host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1%eth0", "2001:db8::1"),
        ("a.b", "a.b"),
    ],
)
def test_the_module_is_told_no_zone_and_no_mapped_address(host: str, wire_host: str) -> None:
    assert Address(host, 80, AF_INET6).wire_host == wire_host


@pytest.mark.parametrize(
    ("host", "port"), [("", 80), ("0.0.0.0", 80), ("192.0.2.1", 0), ("224.0.0.1", 80), ("255.255.255.255", 9)]
)
def test_destinations_the_module_cannot_have(host: str, port: int) -> None:
    with pytest.raises(OSError):
        check_destination(Address(host, port, AF_INET), call="connect")


def test_a_plain_destination_is_fine() -> None:
    check_destination(Address("192.0.2.1", 80, AF_INET), call="connect")
