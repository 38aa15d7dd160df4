"""patch(): what it changes, where it sends things, and that unpatch() leaves nothing behind."""

from __future__ import annotations

import asyncio
import copy
import errno
import inspect
import os
import pickle
import queue
import re
import select
import socket
import socket as socket_by_another_name
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from socket import getaddrinfo, gethostbyname
from socket import socket as from_imported_socket
from types import ModuleType
from typing import Any

import pytest
import wrapt

import nbsocket
from nbsocket import Modem
from nbsocket._patching import _patch
from nbsocket._patching._patch import patch, unpatch
from nbsocket._routing import _leak_warnings
from nbsocket._runtime import _stdlib
from nbsocket._runtime._stdlib import GenuineSocket
from tests.helpers import PATIENCE, echo, receive_exactly, run_isolated, tcp_server, udp_server, unused_port

HOST = "server.example"
ADDRESS = "198.18.0.1"

#: Kept from before any patch, as a program that imported early has them.
CLASS_BEFORE = dict(vars(socket.socket))
MODULE_BEFORE = {name: value for name, value in vars(socket).items() if callable(value)}


@pytest.fixture
def modem(make_modem: Callable[..., Modem]) -> Modem:
    return make_modem()


@pytest.fixture(autouse=True)
def _never_stay_patched() -> Iterator[None]:
    yield
    unpatch()


@pytest.fixture
def patched(modem: Modem) -> Iterator[Modem]:
    with patch(modem):
        yield modem
    assert_unpatched()


def assert_unpatched() -> None:
    assert {name for name in vars(socket.socket) if vars(socket.socket)[name] is not CLASS_BEFORE.get(name)} == set()
    assert set(vars(socket.socket)) == set(CLASS_BEFORE)
    assert {name for name, value in MODULE_BEFORE.items() if getattr(socket, name) is not value} == set()
    assert getaddrinfo is _stdlib.getaddrinfo


def opened(modem: Modem) -> list[str]:
    """Return where the modem has connections, or had them."""
    return [connection.host for connection in modem.stats().connections]


# ---- what is changed


def test_nothing_is_left_behind(modem: Modem) -> None:
    patch(modem)
    assert socket.getaddrinfo is not _stdlib.getaddrinfo
    assert "connect" in vars(socket.socket)
    unpatch()
    assert_unpatched()


def test_the_class_itself_stays(patched: Modem) -> None:
    assert socket.socket is from_imported_socket is socket_by_another_name.socket
    with socket.socket() as sock:
        assert type(sock) is socket.socket
        assert isinstance(sock, GenuineSocket)


def test_references_taken_before_are_re_pointed(patched: Modem) -> None:
    assert getaddrinfo is socket.getaddrinfo
    assert getaddrinfo is not _stdlib.getaddrinfo
    assert getaddrinfo(HOST, 80)[0][4][0] == gethostbyname(HOST) == patched.resolve(HOST)[0]


def test_only_exact_references_in_modules_are_touched(modem: Modem) -> None:
    program = ModuleType("program")
    vars(program).update(lookup=_stdlib.getaddrinfo, getaddrinfo=len, table={"f": _stdlib.getaddrinfo})
    sys.modules["program"] = program
    try:
        with patch(modem):
            assert vars(program)["lookup"] is socket.getaddrinfo
            assert vars(program)["getaddrinfo"] is len
            assert vars(program)["table"]["f"] is _stdlib.getaddrinfo
            vars(program)["later"] = socket.getaddrinfo
        assert vars(program)["lookup"] is _stdlib.getaddrinfo
        # Taken while patched, it is a wrapper for ever; unpatched, it does nothing of its own.
        assert vars(program)["later"]("127.0.0.1", 80) == _stdlib.getaddrinfo("127.0.0.1", 80)
    finally:
        del sys.modules["program"]


def test_modules_with_code_behind_their_attributes_are_not_touched(modem: Modem) -> None:
    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    sys.modules["lazy"] = Lazy("lazy")
    sys.modules["none"] = None  # type: ignore[assignment]  # as an import that was blocked leaves it
    try:
        with patch(modem):
            pass
    finally:
        del sys.modules["lazy"], sys.modules["none"]


def test_our_own_plumbing_is_not_patched(patched: Modem) -> None:
    assert _stdlib.getaddrinfo is MODULE_BEFORE["getaddrinfo"]
    assert vars(GenuineSocket)["connect"] is GenuineSocket.connect


def _through(dump: Callable[[Any], bytes], function: Any) -> object:
    return pickle.loads(dump(function))


def _copies_of(function: Any) -> list[object]:
    """What a program can do with a function besides calling it; an exception where it cannot."""

    def attempt(way: Callable[[Any], object]) -> object:
        try:
            made = way(function)
        except (TypeError, ValueError, pickle.PicklingError) as error:
            return re.sub(" at 0x[0-9a-f]+", "", f"{type(error).__name__}: {error}")
        return "equal" if made == function else made

    protocols = [partial(pickle.dumps, protocol=number) for number in range(pickle.HIGHEST_PROTOCOL + 1)]
    by_copy = [attempt(way) for way in (copy.copy, copy.deepcopy, inspect.signature)]
    return by_copy + [attempt(partial(_through, dump)) for dump in protocols]


def test_patched_functions_are_copied_and_pickled_like_the_genuine_ones(modem: Modem) -> None:
    def copies() -> dict[str, list[object]]:
        functions = ["getaddrinfo", "gethostbyname", "getnameinfo", "getfqdn", "create_connection", "socketpair"]
        methods = ["connect", "sendto", "recv_into", "setsockopt", "__init__"]
        with socket.socket() as sock:
            return {
                **{name: _copies_of(getattr(socket, name)) for name in functions},
                **{f"socket.{name}": _copies_of(getattr(socket.socket, name)) for name in methods},
                **{f"sock.{name}": _copies_of(getattr(sock, name)) for name in methods[:-1]},
            }

    native = copies()
    with patch(modem):
        assert copies() == native
        stays_behind, stored = socket.gethostbyname, pickle.dumps(socket.gethostbyname)
        assert pickle.loads(stored) is socket.gethostbyname
    assert pickle.loads(stored) is pickle.loads(pickle.dumps(stays_behind)) is socket.gethostbyname


def test_patching_again(modem: Modem) -> None:
    with patch(modem, bypass="10.0.0.0/8"):
        with patch(modem, bypass=["10.0.0.0/8"]):
            pass
        assert socket.getaddrinfo is not _stdlib.getaddrinfo
        for other in ({"bypass": "10.0.0.0/9"}, {}, {"bypass": "none"}):
            with pytest.raises(RuntimeError, match="already patched"):
                patch(modem, **other)
        with pytest.raises(RuntimeError, match="already patched"):
            patch(bypass="10.0.0.0/8")
    assert_unpatched()
    unpatch()
    assert_unpatched()
    with patch(modem, bypass="none"):
        pass
    assert_unpatched()


def test_a_bad_bypass_list_changes_nothing(modem: Modem, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"bypass entry '10\.0\.0\.0/99'"):
        patch(modem, bypass="10.0.0.0/99")
    monkeypatch.setenv("NBSOCKET_BYPASS", "a:1")
    with pytest.raises(ValueError, match="'a:1'"):
        patch(modem)
    assert_unpatched()


def test_the_environments_bypass_list(modem: Modem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBSOCKET_BYPASS", "none")
    with tcp_server(echo) as port, patch(modem):
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        assert opened(modem) == ["127.0.0.1"]


def test_an_exception_leaves_the_block_unpatched(modem: Modem) -> None:
    with pytest.raises(KeyError), patch(modem):
        raise KeyError
    assert_unpatched()


# ---- other people's wrappers


def test_a_wrapper_above_ours_survives(patched: Modem) -> None:
    calls: list[str] = []

    def spy(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        calls.append("spy")
        return wrapped(*args, **kwargs)

    handle = wrapt.wrap_function_wrapper(socket.socket, "getpeername", spy)
    unpatch()
    try:
        one, other = socket.socketpair()
        with one, other:
            one.getpeername()
        assert calls == ["spy"]
    finally:
        wrapt.unwrap_object(socket.socket, "getpeername", handle)
        # wrapt restores what the spy covered, our wrapper, by then a wrapper of nothing: it leaves an entry for it.
        del socket.socket.getpeername


def test_a_plain_function_above_ours_keeps_working(modem: Modem, caplog: pytest.LogCaptureFixture) -> None:
    """Such a wrapper cannot be looked under; what it holds of ours calls through."""
    original = getattr(socket.socket, "getpeername")  # noqa: B009  # whatever is there now
    with patch(modem):
        ours = socket.socket.getpeername

        def closure(self: socket.socket) -> Any:
            return ours(self)

        socket.socket.getpeername = closure  # type: ignore[method-assign, assignment]  # as careless programs do
    try:
        one, other = socket.socketpair()
        with one, other:
            assert one.getpeername() == ""
    finally:
        del socket.socket.getpeername
    assert socket.socket.getpeername is original
    assert_unpatched()


def test_a_wrapper_below_ours_survives(modem: Modem) -> None:
    calls: list[Any] = []

    def spy(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        calls.append(args)
        return wrapped(*args, **kwargs)

    handle = wrapt.wrap_function_wrapper(socket, "getaddrinfo", spy)
    try:
        with patch(modem):
            assert getaddrinfo(HOST, 80)[0][4][0] == modem.resolve(HOST)[0]
        socket.getaddrinfo("127.0.0.1", 80)
        assert len(calls) == 1
    finally:
        wrapt.unwrap_object(socket, "getaddrinfo", handle)
    assert_unpatched()


# ---- where things go


def test_foreign_addresses_go_over_the_modem(patched: Modem) -> None:
    with tcp_server(echo) as port:
        for address in ((HOST, port), (ADDRESS, port)):
            with socket.create_connection(address, PATIENCE) as sock:
                assert sock.getpeername()[1] == port
                sock.sendall(b"hello")
                assert receive_exactly(sock, 5) == b"hello"
        assert opened(patched) == [patched.resolve(HOST)[0], ADDRESS]


def test_loopback_stays(patched: Modem) -> None:
    with tcp_server(echo) as port:
        for host in ("127.0.0.1", "localhost", "127.1", ""):
            with socket.create_connection((host or "0.0.0.0", port), PATIENCE) as sock:
                assert sock.getpeername() == ("127.0.0.1", port)
                sock.sendall(b"hello")
                assert sock.recv(100) == b"hello"
    assert patched.stats().bytes_up == 0


def test_a_server_in_the_same_process(patched: Modem) -> None:
    """paho-mqtt's wake-up pair: listen, connect without blocking, accept."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    port = listener.getsockname()[1]
    assert port
    one = socket.socket()
    one.setblocking(False)
    with pytest.raises(BlockingIOError):
        one.connect(("127.0.0.1", port))
    other, address = listener.accept()
    with listener, one, other:
        assert select.select([], [one], [], PATIENCE)[1]
        one.send(b"wake")
        assert other.recv(10) == b"wake"
        assert address == one.getsockname()
    assert patched.stats().bytes_up == 0


def test_nothing_bypassed(modem: Modem) -> None:
    with tcp_server(echo) as port, patch(modem, bypass="none"):
        with socket.create_connection(("localhost", port), PATIENCE) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
            sock.sendall(b"hello")
            assert receive_exactly(sock, 5) == b"hello"
        assert opened(modem) == ["127.0.0.1"]


def test_everything_bypassed(modem: Modem) -> None:
    with tcp_server(echo) as port, udp_server() as udp_port, patch(modem, bypass="*"):
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"x", ("127.0.0.1", udp_port))
            assert sock.recvfrom(10) == (b"x", ("127.0.0.1", udp_port))
    assert modem.stats().bytes_up == 0


def test_bypassed_networks(modem: Modem) -> None:
    """198.18.0.1 would leave the machine: the test's own guard sees that it is the operating system's connect."""
    with patch(modem, bypass="198.18.0.0/24"), socket.socket() as sock:
        with pytest.raises(AssertionError, match="would leave the machine"):
            sock.connect((ADDRESS, 80))
        assert sock.connect_ex(("198.18.1.1", unused_port())) == errno.ECONNREFUSED
    assert opened(modem) != [ADDRESS]


def test_unix_sockets_and_pairs_stay(patched: Modem, tmp_path: Any) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        with server.accept()[0] as accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
    one, other = socket.socketpair()
    with one, other:
        socket.send_fds(one, [b"fd"], [0])
        data, fds, _, _ = socket.recv_fds(other, 10, 1)
        assert data == b"fd"
        os.close(fds[0])
    assert patched.stats().bytes_up == 0


def test_connections_from_before_stay(modem: Modem) -> None:
    with tcp_server(echo) as port:
        early = socket.create_connection(("127.0.0.1", port), PATIENCE)
        unconnected = from_imported_socket()
        with early, unconnected, patch(modem):
            early.sendall(b"x")
            assert early.recv(1) == b"x"
            unconnected.settimeout(PATIENCE)
            unconnected.connect((ADDRESS, port))
            unconnected.sendall(b"over the modem")
            assert receive_exactly(unconnected, 14) == b"over the modem"
            assert opened(modem) == [ADDRESS]


def test_subclasses_and_unbound_calls(patched: Modem) -> None:
    class Mine(socket.socket):
        def connect(self, address: Any) -> None:
            super().connect(address)

    with tcp_server(echo) as port, Mine() as mine, socket.socket() as other:
        mine.settimeout(PATIENCE)
        mine.connect((ADDRESS, port))
        mine.sendall(b"x")
        assert mine.recv(1) == b"x"
        socket.socket.connect(other, (ADDRESS, port))
        assert socket.socket.getpeername(other) == (ADDRESS, port)


def test_our_own_class_while_patched(patched: Modem, make_modem: Callable[..., Modem]) -> None:
    """Its modem and its rule hold, not the patch's."""
    own = make_modem()
    with tcp_server(echo) as port, udp_server() as udp_port, nbsocket.socket(modem=own) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        with nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, modem=own) as datagram:
            datagram.settimeout(PATIENCE)
            datagram.sendto(b"x", ("127.0.0.1", udp_port))
            assert datagram.recv(10) == b"x"
    with tcp_server(echo) as port, nbsocket.socket(modem=own) as sock:
        socket.socket.connect(sock, ("127.0.0.1", port))
    assert opened(own) == ["127.0.0.1"] * 3
    assert patched.stats().bytes_up == 0


def test_a_port_bound_before_connecting(patched: Modem) -> None:
    with tcp_server(echo) as port, socket.socket() as sock:
        sock.bind(("", 0))
        assert sock.getsockname()[1] != 0
        sock.connect((ADDRESS, port))
        assert sock.getsockname()[1] == 0
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(OSError, match=r"bound to 127\.0\.0\.1") as caught:
            sock.connect((ADDRESS, 80))
        assert caught.value.errno == errno.EADDRNOTAVAIL


def test_what_the_module_cannot_do(patched: Modem) -> None:
    for args in ((socket.AF_INET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)):
        with pytest.raises(OSError) as caught:
            socket.socket(*args)
        assert caught.value.errno == errno.EOPNOTSUPP


# ---- datagrams


def test_datagrams_to_both_sides_of_the_fence(patched: Modem) -> None:
    with udp_server() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.sendto(b"far", (ADDRESS, port))
        assert sock.recvfrom(100) == (b"far", (ADDRESS, port))
        sock.sendto(b"near", ("127.0.0.1", port))
        assert sock.recvfrom(100) == (b"near", ("127.0.0.1", port))
        large = bytes(5000)
        assert sock.sendto(large, ("127.0.0.1", port)) == 5000
        assert sock.recvfrom(6000) == (large, ("127.0.0.1", port))
        with pytest.raises(OSError) as caught:
            sock.sendto(large, (ADDRESS, port))
        assert caught.value.errno == errno.EMSGSIZE


def test_a_datagram_server_on_loopback(patched: Modem) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        for sock in (server, client):
            sock.settimeout(PATIENCE)
        client.connect(server.getsockname())
        client.send(b"question")
        data, address = server.recvfrom(100)
        assert (data, address) == (b"question", client.getsockname())
        server.sendto(b"answer", address)
        assert client.recv(100) == b"answer"
    assert patched.stats().bytes_up == 0


def test_a_datagram_socket_from_before(modem: Modem) -> None:
    with udp_server() as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, patch(modem):
        sock.settimeout(PATIENCE)
        sock.sendto(b"near", ("127.0.0.1", port))
        assert sock.recvfrom(100) == (b"near", ("127.0.0.1", port))
        sock.sendto(b"far", (ADDRESS, port))
        assert sock.recvfrom(100) == (b"far", (ADDRESS, port))


def test_a_datagram_socket_from_before_in_an_epoll_set(modem: Modem) -> None:
    if not hasattr(select, "epoll"):
        pytest.skip("the system has no epoll")
    with udp_server() as port, socket.socket(type=socket.SOCK_DGRAM) as sock, select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        with patch(modem):
            sock.sendto(b"ping", (ADDRESS, port))
            assert epoll.poll(PATIENCE) == [(sock.fileno(), select.EPOLLIN)]
            assert sock.recvfrom(10) == (b"ping", (ADDRESS, port))
            epoll.unregister(sock)


def test_asyncio_datagrams(patched: Modem) -> None:
    class Asker(asyncio.DatagramProtocol):
        def __init__(self, answer: asyncio.Future[tuple[bytes, Any]]) -> None:
            self.answer = answer

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.answer.set_result((data, addr))

    async def ask(port: int, **options: Any) -> tuple[bytes, Any]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[bytes, Any]] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(lambda: Asker(answer), **options)
        transport.sendto(b"hello", None if "remote_addr" in options else (ADDRESS, port))
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        finally:
            transport.close()

    with udp_server() as port:
        expected = (b"hello", (ADDRESS, port))
        assert asyncio.run(ask(port, remote_addr=(ADDRESS, port))) == expected
        assert asyncio.run(ask(port, local_addr=("0.0.0.0", 0))) == expected
        assert asyncio.run(ask(port, family=socket.AF_INET)) == expected


# ---- programs


def test_asyncio_streams_by_name(patched: Modem) -> None:
    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"hello")
        answer = await asyncio.wait_for(reader.readexactly(5), PATIENCE)
        writer.close()
        await writer.wait_closed()
        return answer

    with tcp_server(echo) as port:
        assert asyncio.run(talk(port), debug=True) == b"hello"
    assert opened(patched) == [patched.resolve(HOST)[0]]


def test_asyncio_servers_and_subprocesses_stay(patched: Modem) -> None:
    async def serve() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            data = await reader.read(100)
            writer.close()
        child = await asyncio.create_subprocess_exec("true")
        assert await child.wait() == 0
        return data

    assert asyncio.run(serve()) == b"hello"
    assert patched.stats().bytes_up == 0


def test_tls_wrapped_before_connecting(patched: Modem) -> None:
    """The wrapper's connect must not be the operating system's; that it is not, the handshake with an echo tells."""
    context = ssl.create_default_context()
    with tcp_server(echo) as port, socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(sock, server_hostname=HOST) as secure:
            secure.settimeout(PATIENCE)
            with pytest.raises(ssl.SSLError):
                secure.connect((HOST, port))
    assert opened(patched) == [patched.resolve(HOST)[0]]


def test_look_ups_in_many_threads(patched: Modem) -> None:
    found: queue.Queue[str] = queue.Queue()
    threads = [threading.Thread(target=lambda: found.put(gethostbyname("many.example"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert {found.get_nowait() for _ in threads} == set(patched.resolve("many.example"))
    assert patched.stats().counters["commands"] < 30


def test_sockets_that_outlive_the_patch(modem: Modem) -> None:
    with tcp_server(echo) as port:
        with patch(modem):
            sock = socket.create_connection((ADDRESS, port), PATIENCE)
        with sock:
            sock.sendall(b"still there")
            assert receive_exactly(sock, 11) == b"still there"


def test_the_state_is_visible_to_nobody_else() -> None:
    assert _patch._installed is None


@pytest.fixture
def fresh_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing had been warned of."""
    monkeypatch.setattr(_leak_warnings, "_told", set())


@pytest.mark.usefixtures("fresh_warnings")
def test_libraries_out_of_reach_are_named_once(modem: Modem, caplog: pytest.LogCaptureFixture) -> None:
    sys.modules["uvloop"] = ModuleType("uvloop")
    try:
        for _ in range(2):
            with patch(modem):
                pass
    finally:
        del sys.modules["uvloop"]
    assert [record.message[:26] for record in caplog.records] == ["uvloop connects in libuv ("]


@pytest.mark.usefixtures("fresh_warnings")
def test_libraries_out_of_reach_that_come_later(
    modem: Modem, caplog: pytest.LogCaptureFixture, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pycares.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with patch(modem):
        __import__("pycares")
    del sys.modules["pycares"]
    assert "pycares" in caplog.text


@pytest.mark.usefixtures("fresh_warnings")
def test_a_name_server_on_loopback_is_warned_of(patched: Modem, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(2):
            sock.connect(("127.0.0.53", 53))
    assert [record.message for record in caplog.records if "127.0.0.53" in record.message] == [
        "a program asks the name server at 127.0.0.53, which is bypassed: what it asks in turn goes past the modem"
    ]


def test_a_class_that_was_replaced_is_refused(modem: Modem, monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(GenuineSocket):
        pass

    monkeypatch.setattr(socket, "socket", Foreign)
    with pytest.raises(RuntimeError, match=r"socket\.socket was replaced by tests\.test_patch"):
        patch(modem)
    monkeypatch.setattr(socket, "socket", from_imported_socket)
    assert_unpatched()


# ---- scenarios that need a fresh interpreter


@pytest.mark.parametrize(
    "script",
    [
        "imported_first.py",
        "imported_later.py",
        "trio_first.py",
        "trio_later.py",
        "fork.py",
        "guard.py",
        "guard_loopback.py",
        "audit_events.py",
        "captured.py",
        "injected_everywhere.py",
    ],
)
def test_isolated(script: str) -> None:
    assert run_isolated(script).splitlines()[-1] == "done"


def test_wrapper_of_a_patch_that_was_undone_meanwhile_does_not_come_back() -> None:
    """A signal handler undoes its patch() between the look at what is there and the wrapping."""
    from nbsocket._patching._wrappers import Wrapper
    from nbsocket._routing._route import Route

    def genuine() -> None:
        pass

    def call(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    module = ModuleType("module")
    ours, undone = (_patch._Installed(None, Route()) for _ in range(2))
    vars(module)["f"] = Wrapper(genuine, call, undone)
    _patch._wrap(ours, module, "f", call)
    assert type(module.f) is Wrapper and module.f.is_of(ours)
    _patch._remove(ours)
    assert module.f is genuine


@pytest.mark.parametrize(
    "error",
    [TypeError("cannot set 'getpeername' attribute of immutable type '_socket.socket'"), KeyError("connect_ex")],
)
def test_wrapper_that_a_signal_handler_takes_away_meanwhile(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """wrapt finds the attribute of the base then, a class of C that cannot be changed, or nothing where it just was."""
    import wrapt

    genuine, times = wrapt.unwrap_object, 0

    def unwrap_object(*arguments: Any, **options: Any) -> Any:
        nonlocal times
        times += 1
        found = genuine(*arguments, **options)
        if times == 1:
            raise error
        return found

    before = vars(socket.socket).get("connect"), socket.getaddrinfo
    nbsocket.patch(bypass="none")
    monkeypatch.setattr(wrapt, "unwrap_object", unwrap_object)
    nbsocket.unpatch()
    assert times > 1 and (vars(socket.socket).get("connect"), socket.getaddrinfo) == before
