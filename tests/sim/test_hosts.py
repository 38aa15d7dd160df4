"""Where names and addresses lead."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from nbsocket.sim._hosts import HostTable
from nbsocket.sim._hosts import LoopbackTarget as Target


def table(rules: dict[str, str] | None = None, dns: dict[str, str] | None = None) -> HostTable:
    return HostTable(rules or {}, dns or {})


def test_names_get_stable_distinct_addresses_of_the_benchmarking_net() -> None:
    names = [f"host{number}.example" for number in range(2000)]
    first, second = table(), table()
    addresses = [first.resolve(name) for name in names]
    assert len(set(addresses)) == len(names)
    assert all(address and ip_address(address) in ip_network("198.18.0.0/15") for address in addresses)
    assert second.resolve("host7.example") == second.resolve("HOST7.example.") == addresses[7]


@pytest.mark.parametrize("name", ["a.invalid", "invalid", "", "a..b", "a b", "256.1.1.1", "x" * 64, "a\x00b"])
def test_names_that_do_not_exist(name: str) -> None:
    assert table().resolve(name) is None
    assert table().route(name, 80) == "unknown"


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("broker.example", Target("127.0.0.1", 1883)),
        ("203.0.113.1", Target("127.0.0.1", 1883)),
        ("2001:db8::1", Target("::1", 1883)),
        ("127.0.0.5", Target("127.0.0.5", 1883)),
        ("::1", Target("::1", 1883)),
    ],
)
def test_by_default_all_lead_to_the_same_port_of_loopback(host: str, target: Target) -> None:
    assert table().route(host, 1883) == target


def test_rules_hold_for_a_name_and_for_the_address_it_resolved_to() -> None:
    hosts = table({"a.example": "127.0.0.1:8883", "b.example:80": "[::1]:8080", "c.example": "refused"})
    for name in ("a.example", "b.example", "c.example"):
        assert hosts.resolve(name)
    for suffix, host in (("name", "{}.example"), ("address", "")):
        names = {letter: host.format(letter) or hosts.resolve(f"{letter}.example") or "" for letter in "abc"}
        assert hosts.route(names["a"], 1) == Target("127.0.0.1", 8883), suffix
        assert hosts.route(names["b"], 80) == Target("::1", 8080)
        assert hosts.route(names["b"], 81) == Target("127.0.0.1", 81)
        assert hosts.route(names["c"], 1) == "refused"


def test_rules_for_addresses() -> None:
    hosts = table({"203.0.113.1": "127.0.0.2", "[2001:db8::1]:5": "timeout", "2001:db8::2": "127.0.0.1:7"})
    assert hosts.route("203.0.113.1", 9) == Target("127.0.0.2", 9)
    assert hosts.route("2001:DB8:0::1", 5) == "timeout"
    assert hosts.route("2001:db8::1", 6) == Target("::1", 6)
    assert hosts.route("2001:db8::2", 6) == Target("127.0.0.1", 7)


def test_patterns() -> None:
    hosts = table(
        {"*.example": "127.0.0.1:1", "a.example": "127.0.0.1:2", "*.bad.example": "unknown", "*:99": "timeout"}
    )
    assert hosts.route("a.example", 5) == Target("127.0.0.1", 2)
    assert hosts.route("x.y.example", 5) == Target("127.0.0.1", 1)
    assert hosts.route(hosts.resolve("x.y.example") or "", 5) == Target("127.0.0.1", 1)
    assert hosts.resolve("x.bad.example") is None
    assert hosts.route("example", 5) == Target("127.0.0.1", 5)
    assert hosts.route("203.0.113.1", 99) == hosts.route("example", 99) == "timeout"


def test_a_rule_makes_an_invalid_name_exist() -> None:
    assert table({"x.invalid": "127.0.0.1"}).resolve("x.invalid")


def test_given_addresses() -> None:
    hosts = table({"a.example": "127.0.0.1:8883"}, {"a.example": "39.156.69.79"})
    assert hosts.resolve("a.example") == "39.156.69.79"
    assert hosts.route("39.156.69.79", 443) == Target("127.0.0.1", 8883)
