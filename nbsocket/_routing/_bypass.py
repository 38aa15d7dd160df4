"""Which destinations stay on the operating system's own network.

A list in the syntax of ``NO_PROXY``, plus CIDR: ``"10.0.0.0/8, intranet.example, .lan, 192.0.2.7"``. A name covers
itself and everything under it, ``*`` covers all. Loopback and link-local addresses are always in the list unless it
holds the word ``none``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from nbsocket._dataclass import dataclass
from nbsocket._routing._addresses import parse_literal

_Network = IPv4Network | IPv6Network

#: Bypassed unless the list says "none": loopback (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3) and link-local (RFC 3927, RFC
#: 4291 §2.5.6).
DEFAULT_NETWORKS: tuple[_Network, ...] = tuple(
    ip_network(text) for text in ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")
)

_NAME_RE = re.compile(r"(\*?\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


@dataclass(frozen=True, slots=True)
class Bypass:
    """A parsed list; compares equal to another list of the same meaning."""

    networks: frozenset[_Network] = frozenset()
    #: lower case, without the leading dot
    names: frozenset[str] = frozenset()
    #: the list holds ``*``
    is_everything: bool = False

    @classmethod
    def parse(cls, spec: str | Iterable[str] | None) -> Bypass:
        """Parse a comma- or blank-separated list, or an iterable of entries; None or "" is the default list.

        Raises:
            ValueError: an entry is no name, address or network; the message names it.
        """
        entries = _entries(spec)
        networks: set[_Network] = set() if "none" in entries else set(DEFAULT_NETWORKS)
        names: set[str] = set()
        for entry in entries:
            network = _network(entry)
            if network is not None:
                networks.add(network)
            elif _NAME_RE.fullmatch(entry) and entry != "none":
                names.add(_plain_name(entry.removeprefix("*")))
            elif entry not in ("none", "*"):
                raise ValueError(f"bypass entry {entry!r} is no host name, address or network a.b.c.d/n (no ports)")
        return cls(frozenset(networks), frozenset(names), "*" in entries)

    def covers(self, host: str) -> bool:
        """Return whether ``host``, a name or an address in any spelling, stays on the operating system's network.

        The wildcard as a destination ("" or 0.0.0.0) means this host, so it goes the way of loopback.
        """
        if self.is_everything:
            return True
        address = parse_literal(host) if host else IPv4Address(0)
        if address is None:
            return self._covers_name(host)
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_unspecified:
            address = IPv4Address("127.0.0.1") if address.version == 4 else IPv6Address("::1")
        return any(address in network for network in self.networks)

    def lists(self, host: str) -> bool:
        """Return whether ``host`` is covered by what the list says itself, not only as loopback or link-local."""
        given = Bypass(self.networks - frozenset(DEFAULT_NETWORKS), self.names, self.is_everything)
        return given.covers(host)

    def _covers_name(self, host: str) -> bool:
        name = _plain_name(host)
        return any(name == known or name.endswith("." + known) for known in self.names)


def _entries(spec: str | Iterable[str] | None) -> list[str]:
    if isinstance(spec, str) or spec is None:
        spec = [spec or ""]
    return [entry for item in spec for entry in re.split(r"[,\s]+", item) if entry]


def _network(entry: str) -> _Network | None:
    text = entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _plain_name(name: str) -> str:
    return name.strip(".").lower()


#: Nothing stays on the operating system: the rule of ``nbsocket.socket``.
NOTHING = Bypass()

#: What a socket bound to a loopback address can reach: this very host.
LOOPBACK = Bypass(frozenset(DEFAULT_NETWORKS[:2]))
