"""Which modules of CPython's ``test`` package are run, and the part of them that continuous integration runs."""

from __future__ import annotations

import importlib.util
import re

#: All modules; those that an interpreter does not have are left out of its report.
MODULES = (
    "test_socket",
    "test_ssl",
    "test_asyncio.test_base_events",
    "test_asyncio.test_buffered_proto",
    "test_asyncio.test_events",
    "test_asyncio.test_selector_events",
    "test_asyncio.test_sendfile",
    "test_asyncio.test_server",
    "test_asyncio.test_sock_lowlevel",
    "test_asyncio.test_ssl",
    "test_asyncio.test_sslproto",
    "test_asyncio.test_streams",
    "test_asyncio.test_unix_events",
    "test_httplib",
    "test_httpservers",
    "test_urllib2_localnet",
    "test_xmlrpc",
    "test_docxmlrpc",
    "test_ftplib",
    "test_smtplib",
    "test_poplib",
    "test_imaplib",
    "test_telnetlib",
    "test_nntplib",
    "test_asyncore",
    "test_asynchat",
    "test_smtpd",
    "test_socketserver",
    "test_logging",
    "test_selectors",
    "test_wsgiref",
)

#: Patterns of classes that are not run at all, and why: sockets of protocols that the module does not have.
LEFT_OUT = {
    r"test_socket\..*VSOCK.*": "AF_VSOCK; hangs on virtual machines whose host has no such service",
    r"test_socket\..*UDPLITE.*": "UDP-Lite: the module has only TCP and UDP, so `socket()` refuses it (EOPNOTSUPP)",
}


def is_left_out(name: str) -> bool:
    """Return whether the class ``module.Class`` is not run."""
    return any(re.fullmatch(pattern, name) for pattern in LEFT_OUT)


#: Patterns of the classes that continuous integration runs: all kinds of programs, and about 600 tests over the modem;
#: what takes longest, on the plain interpreter too, is left out.
PART = (
    r"test_socket\.(BasicTCP|BasicUDP|.*FileObjectClass|NonBlockingTCP|TCPCloser|NetworkConnection|BufferIO).*",
    r"test_socket\.(Sendmsg|Recvmsg|RecvmsgInto)TCPTest",
    r"test_socket\.(ContextManagersTest|CreateServerFunctionalTest|GeneralModuleTests)",
    r"test_ssl\.(SimpleBackgroundTests|TestPostHandshakeAuth|TestPreHandshakeClose)",
    r"test_asyncio\.test_events\.(EPoll|Select)EventLoopTests",
    r"test_asyncio\.test_sock_lowlevel\.EPollEventLoopTests",
    r"test_asyncio\.test_(streams\.StreamTests|server\..*|buffered_proto\..*)",
    r"test_httplib\.(TimeoutTest|SourceAddressTest|HTTPSTest)",
    r"test_httpservers\.(BaseHTTPServer|RequestHandlerLogging|SimpleHTTPServer)TestCase",
    r"test_urllib2_localnet\..*",
    r"test_xmlrpc\.(Simple|Keepalive|Gzip|Headers|Failing)Server.*TestCase.*",
    r"test_ftplib\.(TestFTPClass|TestTLS_FTPClass|TestTimeouts)",
    r"test_smtplib\.(DebuggingServerTests|.*SimTests)",
    r"test_poplib\..*",
    r"test_imaplib\.(NewIMAPTests|ThreadedNetworked.*)",
    r"test_socketserver\..*",
    r"test_logging\.(SMTP|Socket|SysLog|IPv6SysLog|HTTP)HandlerTest",
)


def is_in_part(name: str) -> bool:
    """Return whether continuous integration runs the class ``module.Class``."""
    return any(re.fullmatch(pattern, name) for pattern in PART)


def has_tests() -> bool:
    """Return whether the interpreter comes with its own tests; distributions often leave them out, or all but some."""
    try:
        return importlib.util.find_spec("test.test_socket") is not None
    except ModuleNotFoundError:
        return False
