"""The names of this very host, and what its own table of hosts says of them. No name server is ever asked.

``localhost`` and what the machine is called are no business of the modem's, and the host's resolver would ask its name
servers for them where the table has no line. Source: RFC 6761 §6.3, hosts(5).
"""

from __future__ import annotations

import sys
from ipaddress import ip_address

from nbsocket._dataclass import dataclass
from nbsocket._runtime._stdlib import genuine_os as os

__all__ = ["HOSTS_FILE", "IPV6_FILE", "LocalHost", "find", "is_local_name"]

#: The table of hosts.
HOSTS_FILE = "/etc/hosts"
#: Linux's table of its own IPv6 addresses; other systems always have ::1.
IPV6_FILE = "/proc/net/if_inet6"

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_LOOPBACK6 = "0" * 31 + "1"

#: Address and names, line by line.
_Rows = list[tuple[str, list[str]]]

#: What was read last, and of which file. Tables that block advertisements have 100,000 lines.
_table: tuple[object, _Rows] = (None, [])


@dataclass(frozen=True, slots=True)
class LocalHost:
    """One of this host's names."""

    #: Its full name, the first of its line.
    canonical: str
    #: The other names of that line.
    aliases: tuple[str, ...]
    #: IPv4 before IPv6, as servers on one family listen.
    addresses: tuple[str, ...]

    def of_version(self, version: int) -> tuple[str, ...]:
        """The addresses of this version of IP."""
        return tuple(address for address in self.addresses if (":" in address) == (version == 6))


def own_name() -> str:
    """Return what this host calls itself, without the audit event of ``socket.gethostname()``."""
    return os.uname().nodename


def is_local_name(name: str) -> bool:
    """Return whether ``name`` means this very host: a name of loopback, or what the host calls itself."""
    plain = _plain(name)
    if plain in _LOCAL_NAMES or plain.endswith(".localhost"):
        return True
    own = _plain(own_name())
    return bool(plain and own) and (plain == own or plain in _names_of(own))


def find(name: str) -> LocalHost:
    """Return what the table of hosts says of a local name; 127.0.0.1 (::1 for ``ip6-...``) where it says nothing.

    ::1 is left out where this host has no IPv6 and another address is known: a server on all addresses of "localhost"
    could not start.
    """
    plain = _plain(name)
    rows = [(address, names) for address, names in _rows() if plain in map(_plain, names)]
    addresses = dict.fromkeys(address for address, _ in rows)
    if len(addresses) > 1 and "::1" in addresses and not _has_loopback6():
        del addresses["::1"]
    if not addresses:
        return LocalHost(name.rstrip("."), (), ("::1" if plain.startswith("ip6-") else "127.0.0.1",))
    canonical, *others = rows[0][1]
    return LocalHost(canonical, tuple(others), tuple(sorted(addresses, key=lambda address: ":" in address)))


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _names_of(own: str) -> set[str]:
    """Every name that shares a line with the host's own, unless that line names loopback for many."""
    rows = (set(map(_plain, names)) for _, names in _rows())
    return {name for names in rows if own in names and not names & _LOCAL_NAMES for name in names}


def _rows() -> _Rows:
    """The lines of the table, read again when the file is another one."""
    global _table
    try:
        status = os.stat(HOSTS_FILE)
    except OSError:
        # There is none, which means the same as an empty one.
        return []
    state = (HOSTS_FILE, status.st_ino, status.st_size, status.st_mtime_ns)
    if state != _table[0]:
        _table = (state, _read(_lines(HOSTS_FILE)))
    return _table[1]


def _read(lines: list[str]) -> _Rows:
    rows = []
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        try:
            text = str(ip_address(address))
        except ValueError:
            continue
        if names and "%" not in text:
            rows.append((text, names))
    return rows


def _has_loopback6() -> bool:
    return sys.platform != "linux" or any(line.startswith(_LOOPBACK6) for line in _lines(IPV6_FILE))


def _lines(path: str) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # Not there, or not for us: the same as an empty one.
        return []
    try:
        data = b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
    finally:
        os.close(fd)
    return data.decode("utf-8", "replace").splitlines()
