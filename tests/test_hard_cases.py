"""What libraries demand of a socket and a first attempt gets wrong: each case has its test here or is named with it.

The cases were found by reading the libraries at work: asyncio, trio, ssl, paho-mqtt, urllib3, redis-py and others.
"""

from __future__ import annotations

import ast
import asyncio
import errno
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nbsocket
from nbsocket import Modem, patch
from tests.helpers import PATIENCE, echo, receive_exactly, run_isolated, tcp_server, udp_server

TESTS = Path(__file__).parent
HOST, ADDRESS = "server.example", "198.18.0.1"

#: Case: where its test is.
ELSEWHERE = {
    "asyncio, trio and pika connect without blocking, ask SO_ERROR": "test_socket_events::test_non_blocking_connect",
    "one end of a socket pair is writable from birth": "test_socket_events::test_non_blocking_connect",
    "ssl takes the descriptor over and looks whether it is connected": "test_patch::test_tls_wrapped_before_connecting",
    "http.client sets TCP options on whatever it gets": "test_socket_options::test_options_are_kept",
    "paho-mqtt wakes itself by a connection to 127.0.0.1": "test_patch::test_a_server_in_the_same_process",
    "paho-mqtt binds the wildcard before each connect": "test_socket_options::test_binding_the_wildcard_is_nothing",
    "errors must be OSError where they are due": "test_socket_tcp::test_the_module_restarts",
    "connection pools ask whether the peer has gone": "test_socket_events::test_pooled_connections_notice_the_end",
    "urllib3 shuts the reading direction down": "test_socket_tcp::test_shutdown_of_reading",
    "trio wants the very class socket.socket": "test_patch::test_the_class_itself_stays",
    "trio, imported first, keeps methods in closures": "test_patch::test_isolated",
    "trio has hooks of its own": "test_trio::test_streams",
    "trio tries each name as a number and knows one error only": "test_resolver::test_failures",
    "asyncio looks names up in several threads": "test_patch::test_look_ups_in_many_threads",
    "asyncio connects to address tuples of two and of four": "test_socket_tcp::test_ipv6",
    "asyncio registers UDP sockets before the first send": "test_socket_udp::test_asyncio_endpoint",
    "ntplib and dnspython compare the source address": "test_socket_udp::test_several_peers",
    "a datagram's address must survive whatever its length": "test_channel::test_unconnected_frames_name_the_peer",
    "empty and cut datagrams": "test_socket_udp::test_empty_datagrams_are_refused",
    "the end of a stream is not a reset": "test_socket_tcp::test_remote_reset",
    "asyncio writes with sendmsg": "test_socket_tcp::test_every_way_to_send_and_receive",
    "socketpair, accept and fromfd make sockets of the module's class": "test_patch::test_unix_sockets_and_pairs_stay",
    "a descriptor given to a new socket object": "test_socket_events::test_detach_and_wrap_again",
    "uvloop connects in libuv": "test_patch::test_libraries_out_of_reach_are_named_once",
    "aiohttp looks names up in c-ares": "test_aiohttp_resolver::test_look_ups_of_aiohttp_go_through_the_modem",
    "a name server on loopback asks the host's network": "test_patch::test_a_name_server_on_loopback_is_warned_of",
    "whatever leaks can be refused": "test_patch::test_isolated",
    "the serial port vanishes under a thread that reads it": "test_socket_tcp::test_the_port_vanishes",
    "fork copies the descriptors, not the thread": "test_engine::test_fork",
}

#: Case: why nothing can be tested.
WITHOUT_A_TEST = {
    "libraries that connect in C (libpq, libcurl, gRPC)": "Python sees nothing of it; docs/limits.md names them",
    "time-outs too short for NB-IoT": "they are the libraries' own; the table of docs/libraries.md says which to raise",
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_the_test_that_is_named_exists(case: str) -> None:
    file, _, name = ELSEWHERE[case].partition("::")
    tree = ast.parse((TESTS / f"{file}.py").read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def modem(make_modem: Callable[..., Modem]) -> Modem:
    """In this process."""
    return make_modem()


@pytest.fixture
def port() -> Iterator[int]:
    """An echo server's."""
    with tcp_server(echo) as number:
        yield number


@pytest.mark.parametrize("bypass", [None, "none"])
def test_urllib3_binds_the_ipv6_loopback_address_at_its_import(modem: Modem, bypass: str | None) -> None:
    with patch(modem, bypass=bypass), socket.socket(socket.AF_INET6) as sock:
        sock.bind(("::1", 0))
    assert modem.stats().commands == 0


@pytest.mark.parametrize("is_first", [True, False], ids=["wrapped first", "connected first"])
def test_the_tls_socket_has_options_and_addresses(modem: Modem, port: int, is_first: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with patch(modem), socket.socket() as plain:
        plain.settimeout(PATIENCE)
        if not is_first:
            plain.connect((ADDRESS, port))
        # Without a handshake: the echo server does not speak TLS.
        with context.wrap_socket(plain, do_handshake_on_connect=False) as sock:
            if is_first:
                sock.connect((ADDRESS, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert sock.getpeername() == (ADDRESS, port)
            assert isinstance(sock, socket.socket)


def test_redis_peeks_at_pooled_connections(modem: Modem, port: int) -> None:
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((ADDRESS, port))
        poller = select.poll()
        poller.register(sock, select.POLLIN | getattr(select, "POLLRDHUP", 0))
        assert poller.poll(0) == []
        sock.sendall(b"ab")
        assert poller.poll(PATIENCE * 1000) == [(sock.fileno(), select.POLLIN)]
        assert sock.recv(1, socket.MSG_PEEK) == b"a"
        assert receive_exactly(sock, 2) == b"ab"
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1, socket.MSG_PEEK)


def test_aiocoap_gets_a_transport_that_can_work(tmp_path: Path) -> None:
    script = tmp_path / "show.py"
    script.write_text("import os\nprint(os.environ['AIOCOAP_CLIENT_TRANSPORT'])\n")
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, "-m", "nbsocket", "--port", "sim://", "run", str(script)]
    for given, expected in ((None, "simple6:tcpclient:tlsclient"), ("oscore", "oscore")):
        variables = environment | ({"AIOCOAP_CLIENT_TRANSPORT": given} if given else {})
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert done.stdout.strip() == expected


def test_the_event_loop_never_waits_for_the_module(make_modem: Callable[..., Modem], port: int) -> None:
    """A look-up, a connection and an exchange that each take their time on the air."""
    modem = make_modem(latency=1.0)
    gaps: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async def main() -> float:
        ticking = asyncio.create_task(tick())
        begin = time.monotonic()
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        ticking.cancel()
        writer.close()
        return time.monotonic() - begin

    with patch(modem):
        took = asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert took > 2.0
    assert max(gaps) < 0.5


def test_happy_eyeballs_cost_one_connection(modem: Modem, port: int) -> None:
    async def main() -> None:
        _, writer = await asyncio.open_connection(HOST, port, happy_eyeballs_delay=0.0)
        writer.close()
        await writer.wait_closed()

    with patch(modem):
        asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert modem.stats().counters["opens"] == 1


def test_a_cancelled_connect_of_asyncio_leaves_no_socket(make_modem: Callable[..., Modem], port: int) -> None:
    modem = make_modem(latency=0.2)

    async def main() -> None:
        for _ in range(6):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.open_connection(ADDRESS, port), 0.02)

    with patch(modem):
        asyncio.run(main())
        deadline = time.monotonic() + PATIENCE
        while modem.sockets():
            assert time.monotonic() < deadline
        socket.create_connection((ADDRESS, port), PATIENCE).close()


def test_one_thread_reads_and_another_writes(modem: Modem, port: int) -> None:
    data = os.urandom(50_000)
    with nbsocket.socket(modem=modem) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((ADDRESS, port))
        writer = threading.Thread(target=sock.sendall, args=(data,))
        writer.start()
        assert receive_exactly(sock, len(data)) == data
        writer.join(PATIENCE)


def test_a_stray_answer_of_another_peer_is_told_apart(modem: Modem) -> None:
    with udp_server(lambda data: b"1" + data) as first, udp_server(lambda data: b"2" + data) as second:
        with nbsocket.socket(socket.AF_INET, socket.SOCK_DGRAM, modem=modem) as sock:
            sock.settimeout(PATIENCE)
            for number in (first, second):
                sock.sendto(b"x", (ADDRESS, number))
            answers = {sock.recvfrom(10) for _ in range(2)}
        assert answers == {(b"1x", (ADDRESS, first)), (b"2x", (ADDRESS, second))}


def test_multiprocessing_and_subprocesses_stay_as_they_are() -> None:
    assert run_isolated("multiprocessing_stays.py").splitlines()[-1] == "done"


def test_connect_ex_tells_what_dnspython_and_pysocks_want(modem: Modem, port: int) -> None:
    with nbsocket.socket(modem=modem) as sock:
        sock.setblocking(False)
        assert sock.connect_ex((ADDRESS, port)) == errno.EINPROGRESS
        assert sock.connect_ex((ADDRESS, port)) in (errno.EALREADY, errno.EISCONN)
        assert select.select([], [sock], [], PATIENCE)[1]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert sock.connect_ex((ADDRESS, port)) == errno.EISCONN
