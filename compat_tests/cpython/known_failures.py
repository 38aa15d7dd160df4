"""Tests of CPython that do not pass over the modem, each with the reason.

Strict both ways: a test that fails and is not listed, and a listed test that passes, fail the run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a test cannot pass; the text stands in the report."""

    DATAGRAM_SIZE = "a datagram is longer than one send of the module (512 bytes, 1024 with data_format=raw): EMSGSIZE"
    PEER_ADDRESS = "compares the client's address with what the server sees: in between is the operator's network"


@dataclass(frozen=True, slots=True)
class Known:
    """One entry: a pattern over ``module.Class.test``."""

    pattern: str
    reason: Reason
    #: Python versions, both inclusive
    since: tuple[int, int] = (3, 10)
    until: tuple[int, int] = (3, 99)

    def matches(self, name: str, version: tuple[int, int]) -> bool:
        """Return whether it is about the test ``name`` on this version."""
        return self.since <= version <= self.until and re.fullmatch(self.pattern, name) is not None


#: The three event loops of test_asyncio, which share their tests.
_LOOPS = "(EPoll|Poll|Select)EventLoopTests"

KNOWN_FAILURES = (
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_recvfrom(_into)?", Reason.DATAGRAM_SIZE),
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_sendto_blocking", Reason.DATAGRAM_SIZE),
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_sock_accept", Reason.PEER_ADDRESS),
)


def find(name: str, version: tuple[int, int]) -> Known | None:
    """Return the entry for a test, if there is one."""
    return next((known for known in KNOWN_FAILURES if known.matches(name, version)), None)
