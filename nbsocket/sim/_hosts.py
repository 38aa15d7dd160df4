"""Names and addresses of the simulated world, and where on loopback each one really leads.

Every name gets an address out of 198.18.0.0/15 (RFC 2544, benchmarking), always the same one for the same name; every
address leads to the same port on 127.0.0.1 or ::1. Rules of the host table change that. Nothing leads off loopback.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple

VERDICTS = ("refused", "timeout", "unknown")

#: RFC 1123 §2.1, underscores tolerated; the last label is not a number.
_HOST_NAME_RE = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*(?![0-9]+$)[a-z0-9_-]{1,63}", re.ASCII)

_POOL_START = int(ipaddress.IPv4Address("198.18.0.0"))
_POOL_SIZE = 1 << 17


class LoopbackTarget(NamedTuple):
    """A real address on loopback."""

    address: str
    port: int


def is_address(text: object) -> bool:
    """Tell whether ``text`` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)  # type: ignore[arg-type]  # whatever it is
    except ValueError:
        return False
    return isinstance(text, str)


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address into host and port."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port_text = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    else:
        host, port_text = text, ""
    if not port_text:
        return host, None
    if not port_text.isdecimal() or not 1 <= int(port_text) <= 65535:
        raise ValueError(f"{text!r} needs a port of 1 to 65535 after the colon")
    return host, int(port_text)


def check_route(value: str) -> str | None:
    """Return what is wrong with the right side of a host rule, or None."""
    if value in VERDICTS:
        return None
    try:
        host, _ = split_port(value)
    except ValueError as error:
        return str(error)
    if not is_address(host) or not ipaddress.ip_address(host).is_loopback:
        return f"may only lead to a loopback address, or be {', '.join(VERDICTS)}; got {value!r}"
    return None


def check_rule(key: str, value: str) -> str | None:
    """Return what is wrong with a host rule, or None."""
    try:
        _, port = split_port(key)
    except ValueError as error:
        return str(error)
    if value == "unknown" and port is not None:
        return f"cannot make a name unknown for one port only: {key!r}"
    return check_route(value)


class HostTable:
    """Resolves names to simulated addresses, and routes names and addresses to loopback."""

    def __init__(self, rules: Mapping[str, str], dns: Mapping[str, str]) -> None:
        self._rules = {(_canonical(host), port): value for (host, port), value in _split_keys(rules)}
        self._addresses = {_canonical(name): address for name, address in dns.items()}
        self._names = {_canonical(address): name for name, address in self._addresses.items()}

    def resolve(self, host: str) -> str | None:
        """Return the address of a name (an address is its own), or None when it is unknown."""
        if is_address(host):
            return host
        name = _canonical(host)
        if self._find(name, None) == "unknown" or not _HOST_NAME_RE.fullmatch(name):
            return None
        has_rule = any(known == name for known, _ in self._rules)
        if name not in self._addresses:
            if not has_rule and (name == "invalid" or name.endswith(".invalid")):
                return None
            self._assign(name)
        return self._addresses[name]

    def route(self, host: str, port: int) -> LoopbackTarget | str:
        """Return where ``host``, a name or an address, really leads: a loopback target or one of VERDICTS."""
        rule = self.rule(host, port)
        if rule in VERDICTS:
            return rule
        address = self.resolve(host)
        if address is None:
            return "unknown"
        if rule is not None:
            real_host, real_port = split_port(rule)
            return LoopbackTarget(real_host, real_port or port)
        parsed = ipaddress.ip_address(address)
        if parsed.is_loopback:
            return LoopbackTarget(address, port)
        return LoopbackTarget("::1" if parsed.version == 6 else "127.0.0.1", port)

    def rule(self, host: str, port: int) -> str | None:
        """Return the right side of the rule for a name or address, if there is one."""
        given = _canonical(host)
        name = self._names.get(given)
        rule = None if name is None else self._find(name, port)
        return self._find(given, port) if rule is None else rule

    def _find(self, name: str, port: int | None) -> str | None:
        """Return the most particular rule: of the name, then ``*.parent``, then ``*``; with the port before without."""
        labels = [] if is_address(name) else name.split(".")
        parents = ["*." + ".".join(labels[index:]) for index in range(1, len(labels))]
        for known in (name, *parents, "*"):
            for key in ((known, port), (known, None)):
                if key in self._rules:
                    return self._rules[key]
        return None

    def _assign(self, name: str) -> None:
        number = zlib.crc32(name.encode())
        while True:
            address = str(ipaddress.IPv4Address(_POOL_START + number % _POOL_SIZE))
            if address not in self._names and not address.endswith((".0", ".255")):
                break
            number += 1
        self._addresses[name] = address
        self._names[address] = name


def _split_keys(rules: Mapping[str, str]) -> list[tuple[tuple[str, int | None], str]]:
    return [(split_port(key), value) for key, value in rules.items()]


def _canonical(host: str) -> str:
    if is_address(host):
        return str(ipaddress.ip_address(host))
    return host.lower().rstrip(".")
