"""Look-ups by functions kept before the patch: the modem is asked, or somebody is told; afterwards all is as before."""

import _socket
import asyncio
import copy
import functools
import importlib
import logging
import pickle
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

keep = socket.getaddrinfo


def by_default(host: Any, look_up: Callable[..., Any] = socket.getaddrinfo) -> Any:
    return look_up(host, 80, socket.AF_INET, socket.SOCK_STREAM)


def make_closure() -> Callable[[Any], Any]:
    kept = socket.getaddrinfo
    return lambda host: kept(host, "http", type=socket.SOCK_STREAM)


class Holder:
    look_up = staticmethod(socket.getaddrinfo)
    fqdn = staticmethod(socket.getfqdn)
    create = staticmethod(socket.create_connection)


in_partial = functools.partial(socket.getaddrinfo, port=80, type=socket.SOCK_STREAM)
in_dictionary = {"look up": [socket.getaddrinfo]}
in_closure = make_closure()
c_functions: dict[str, Callable[..., Any]] = {
    "name": _socket.gethostbyname,
    "ex": _socket.gethostbyname_ex,
    "reverse": _socket.getnameinfo,
}
c_look_up = _socket.getaddrinfo
bytes_name, unicode_name = b"leak.example", "bücher.example"

import nbsocket  # noqa: E402  after what a program may have done before
from nbsocket._port import Port  # noqa: E402
from nbsocket._routing._audit import is_ours  # noqa: E402
from tests.helpers import echo, tcp_server  # noqa: E402

seen: list[tuple[str, Any]] = []
sys.addaudithook(lambda event, args: seen.append((event, args)) if event.startswith("socket.get") else None)
told: list[str] = []


class Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        told.append(record.getMessage())


logging.getLogger("nbsocket").addHandler(Handler())


def told_of(event: str) -> int:
    return sum(event in message and "past" in message for message in told)


class Stop(Exception):
    """In place of asking a name server: the test leaves nothing to one."""


def forbid(event: str, args: tuple[Any, ...]) -> None:
    # Whatever reaches the C functions with a name is past the modem.
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.getnameinfo") and not is_ours(event, args):
        host = args[0][0] if isinstance(args[0], tuple) else args[0]
        if host in ("leak.example", b"leak.example", "192.0.2.9"):
            raise Stop


with nbsocket.configure("sim://?host=leak.example=127.0.0.1") as modem:
    nbsocket.patch(bypass="none")
    sys.addaudithook(forbid)  # after the library's own
    [address] = modem.resolve("leak.example")
    expected = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]
    for look_up in (by_default, in_closure, in_partial):
        assert look_up("leak.example") == expected, look_up
        assert look_up(bytes_name) == expected, look_up
    for function in (
        Holder.look_up,
        in_dictionary["look up"][0],
        keep,
        copy.copy(keep),
        pickle.loads(pickle.dumps(keep)),
    ):
        assert function("LEAK.example.", 80, type=socket.SOCK_STREAM) == expected
        assert type(function("leak.example", 80)[0][0]) is socket.AddressFamily
    assert by_default(unicode_name)[0][4][0] == modem.resolve("xn--bcher-kva.example")[0]

    async def ask() -> Any:
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo("leak.example", 80, type=socket.SOCK_STREAM)

    assert asyncio.run(ask()) == expected
    assert Holder.fqdn("leak.example") == "leak.example"
    # One event for one call, with what the program gave.
    seen.clear()
    keep("leak.example", 80, 0, socket.SOCK_STREAM)
    assert seen == [("socket.getaddrinfo", ("leak.example", 80, 0, socket.SOCK_STREAM, 0))], seen
    # What no function gives out is refused as ever, and asks nobody.
    for bad in ("a b", 'a"b', "a\\b", "a\nb", "a\0b", "x" * 151, ".", "a..b"):
        for function in (keep, socket.getaddrinfo, nbsocket.getaddrinfo):
            try:
                function(bad, 80)
            except (socket.gaierror, UnicodeError):
                continue
            raise AssertionError((bad, function))
    assert not told, told
    # The C functions themselves cannot be caught, but do not go unnoticed.
    for name, event in {
        "name": "socket.gethostbyname",
        "ex": "socket.gethostbyname",
        "reverse": "socket.getnameinfo",
    }.items():
        try:
            c_functions[name](("192.0.2.9", 80), 0) if name == "reverse" else c_functions[name]("leak.example")
        except Stop:
            assert told_of(event) == 1, (event, told)
        else:
            raise AssertionError(name)
    try:
        c_look_up("leak.example", 80)
    except Stop:
        assert told_of("socket.getaddrinfo") == 1
    told.clear()
    # Loaded anew, its functions still ask the modem; its class is another one.
    again = importlib.reload(socket)
    assert again.getaddrinfo("leak.example", 80, type=again.SOCK_STREAM) == expected
    del sys.modules["socket"]
    anew = importlib.import_module("socket")
    assert anew.getaddrinfo("leak.example", 80, type=anew.SOCK_STREAM) == expected
    with anew.socket(anew.AF_INET, anew.SOCK_DGRAM) as sock:

        def stop(event: str, args: tuple[Any, ...]) -> None:
            if event == "socket.connect" and args[0] is sock:
                raise Stop

        sys.addaudithook(stop)
        try:
            sock.connect(("192.0.2.9", 9))
        except Stop:
            assert told_of("socket.connect") == 1, told
        else:
            raise AssertionError("connected past the modem")
    # The module's own threads are not led back to the modem.
    found: list[Any] = []

    def as_module() -> None:
        from nbsocket._runtime._stdlib import own_traffic

        own_traffic.is_module = True
        found.append(keep("127.0.0.1", 80, type=1) == c_look_up("127.0.0.1", 80, 0, 1))

    thread = threading.Thread(target=as_module)
    thread.start()
    thread.join()
    assert found == [True]
    # A port behind socket:// is reached by the host, patched or not.
    with tcp_server(echo) as port:
        Port.open(f"socket://localhost:{port}").close()
    assert [connection.host for connection in modem.stats().connections] == []
    nbsocket.unpatch()
assert _socket.getaddrinfo is c_look_up
assert keep("127.0.0.1", 80)
nbsocket.unpatch()

print("done")
