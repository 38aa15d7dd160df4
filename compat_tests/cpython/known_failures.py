"""Tests of CPython that do not pass over the modem, each with the reason.

Strict both ways: a test that fails and is not listed, and a listed test that passes, fail the run; only entries whose
outcome is a matter of chance (``may_pass``) are not held to that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Reason(Enum):
    """Why a test cannot pass; the text stands in the report."""

    CONNECTIONS = "more than five connections at once: EMFILE"
    HALF_CLOSE = "half-closes: shutdown(SHUT_WR) cannot reach the peer, and the peer's ends both directions"
    LISTENING = "active FTP, where the server connects to the client: the module cannot listen"
    URGENT = "out-of-band data (MSG_OOB), which the module neither sends nor tells apart"
    RESET = "needs a reset (SO_LINGER of 0) to reach the peer: the module can only close in order"
    RESET_UNTOLD = (
        "a reset by the peer, with nothing outstanding, reads as an end of file: the module says the same line for "
        "both, and its state afterwards is no proof"
    )
    DATAGRAM_SIZE = "a datagram is longer than one send of the module (512 bytes, 1024 with data_format=raw): EMSGSIZE"
    PEER_ADDRESS = "compares the client's own address with what the server sees: the module does not tell its port"
    STARTTLS = (
        "CPython's own fault with a connection that is not faster than the program: start_tls() while more is "
        "written than the send buffer takes (16 KiB here, as TCP's at the beginning)"
    )
    SPINNING = "client and server share a loop that spins a fixed number of rounds: the module's answer may come later"
    EARLY = (
        "the server's thread looks at the client's socket before its connect() has returned: over the modem the server "
        "accepts before the client's side knows of it"
    )
    PIECES = "the test's own server takes it for an error when a TLS record arrives in pieces, as on any slow line"
    REFERENCES = "counts references that a function of C does not keep, but a function of Python in a traceback does"


@dataclass(frozen=True, slots=True)
class Known:
    """One entry: a pattern over ``module.Class.test``."""

    pattern: str
    reason: Reason
    #: Python versions, both inclusive
    since: tuple[int, int] = (3, 10)
    until: tuple[int, int] = (3, 99)
    #: it may pass, for what it depends on is chance
    may_pass: bool = False

    def matches(self, name: str, version: tuple[int, int]) -> bool:
        """Return whether it is about the test ``name`` on this version."""
        return self.since <= version <= self.until and re.fullmatch(self.pattern, name) is not None


#: The three event loops of test_asyncio, which share their tests.
_LOOPS = "(EPoll|Poll|Select)EventLoopTests"

KNOWN_FAILURES = (
    Known("test_socket.GeneralModuleTests.testRefCountGetNameInfo", Reason.REFERENCES),
    Known("test_ssl.TestPreHandshakeClose.test_preauth_data_to_tls_server", Reason.RESET),
    Known("test_ssl.TestPreHandshakeClose.test_preauth_data_to_tls_client", Reason.RESET_UNTOLD),
    Known("test_ssl.ThreadedTests.test_server_accept", Reason.PEER_ADDRESS),
    Known("test_logging.DatagramHandlerTest.test_output", Reason.DATAGRAM_SIZE),
    Known("test_socket.TCPCloserTest.testClose", Reason.EARLY, may_pass=True),
    Known("test_poplib.TestPOP3_(TLS|SSL)Class.test_too_long_lines", Reason.PIECES, may_pass=True),
    Known("test_ftplib.TestFTPClass.test_abort", Reason.URGENT),
    Known("test_ftplib.TestIPv6Environment.test_(makeport|transfer)", Reason.LISTENING),
    Known("test_asyncore.TestAPI_UseIPv[46](Select|Poll).test_handle_expt", Reason.URGENT),
    Known("test_asyncore.TestAPI_.*.test_connection_attributes", Reason.SPINNING, may_pass=True),
    Known("test_asyncio.test_ssl.TestSSL.test_(create_(connection|server)_ssl_1|shutdown_cleanly)", Reason.CONNECTIONS),
    Known("test_asyncio.test_ssl.TestSSL.test_create_server_ssl_over_ssl", Reason.CONNECTIONS),
    Known("test_asyncio.test_ssl.TestSSL.test_remote_shutdown_receives_trailing_data", Reason.HALF_CLOSE),
    Known("test_asyncio.test_sslproto.SelectorStartTLSTests.test_start_tls_client_(reg|buf)_proto_1", Reason.STARTTLS),
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_recvfrom(_into)?", Reason.DATAGRAM_SIZE),
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_sendto_blocking", Reason.DATAGRAM_SIZE),
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_sock_accept", Reason.PEER_ADDRESS),
    Known(f"test_asyncio.test_sock_lowlevel.{_LOOPS}.test_sock_client_racing", Reason.HALF_CLOSE),
)


def find(name: str, version: tuple[int, int]) -> Known | None:
    """Return the entry for a test, if there is one."""
    return next((known for known in KNOWN_FAILURES if known.matches(name, version)), None)
