"""The strict guard: everything that would leave past the modem is refused, patched or not; the modem is not."""

import _socket
import errno
import importlib
import importlib.util
import socket
import sys
from collections.abc import Callable

import nbsocket
from nbsocket._patching._strict import refuse_host_network, refuse_libraries
from nbsocket._routing._bypass import Bypass
from nbsocket._routing._leak_warnings import IN_C
from tests.helpers import echo, tcp_server

# First of all: the hook must come before the tests' own, which refuses more.
refuse_host_network(Bypass.parse("intranet.example"))

REFUSED: list[Callable[[], object]] = [
    lambda: _socket.socket().connect(("192.0.2.1", 9)),
    lambda: _socket.socket().connect_ex(("192.0.2.1", 9)),
    lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
    lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("192.0.2.1", 9)),
    lambda: _socket.socket(_socket.AF_INET6).connect(("2001:db8::1", 9)),
    lambda: socket.getaddrinfo("a.example", 80),
    lambda: _socket.getaddrinfo(b"a.example", 80),
    lambda: _socket.gethostbyname("a.example"),
    lambda: _socket.gethostbyaddr("192.0.2.1"),
    lambda: _socket.getnameinfo(("192.0.2.1", 9), 0),
]

for call in REFUSED:
    try:
        call()
    except OSError as error:
        assert error.errno == errno.EACCES and "--strict" in str(error), error
    else:
        raise AssertionError(call)

refuse_libraries({**IN_C, "colorsys": "connects in C", "no_such_library": "connects in C"})
for load in (importlib.import_module, __import__):
    try:
        load("colorsys")
    except ImportError as error:
        assert str(error) == "refused by --strict: colorsys connects in C", error
    else:
        raise AssertionError("colorsys")
    try:
        load("no_such_library")
    except ModuleNotFoundError as error:
        assert str(error) == "No module named 'no_such_library'", error
interpreters = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
try:
    importlib.import_module(interpreters)
except ImportError as error:
    assert str(error).startswith(f"refused by --strict: {interpreters} makes interpreters"), error
else:
    raise AssertionError(interpreters)
assert importlib.util.find_spec("no_such_library") is None
assert importlib.import_module("sched")

try:
    # Asks nobody, and trio does so with every name.
    socket.getaddrinfo("a.example", 80, flags=socket.AI_NUMERICHOST)
except socket.gaierror as error:
    assert error.errno == socket.EAI_NONAME

with tcp_server(echo) as port, nbsocket.configure("sim://"):
    socket.create_connection(("127.0.0.1", port)).close()
    assert socket.getaddrinfo("192.0.2.1", 80)
    assert nbsocket.getnameinfo(("192.0.2.1", 80), 0) == ("192.0.2.1", "http")
    nbsocket.patch(bypass="none")
    assert socket.getnameinfo(("192.0.2.1", 80), 0) == ("192.0.2.1", "http")
    for host in ("server.example", "127.0.0.1"):
        with socket.create_connection((host, port), 10) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
    nbsocket.unpatch()
print("done")
