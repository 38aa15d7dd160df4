"""Interrupted by Ctrl-C, or closed by another thread, while it waits: the call ends and the next one works."""

from __future__ import annotations

import inspect
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

import nbsocket
from nbsocket import NB_UNACKED, SOL_NB, Modem
from nbsocket.sim import Fault, Simulator
from tests.faults.load import FAR, connect, wait_until
from tests.helpers import PATIENCE, echo, tcp_server, unused_port

#: Looks in a row at which a thread that waits is in the same place, asleep.
LOOKS = 5

MakeSimulator = Callable[..., Simulator]


def is_asleep(thread: threading.Thread) -> bool:
    """Return whether the thread waits in the kernel; it may still wait for the interpreter's lock only."""
    state = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    return state.rpartition(")")[2].split()[0] == "S"


def wait_until_stuck(thread: threading.Thread) -> None:
    """Return when the thread waits for something in one place."""
    place: object = None
    looks = 0

    def look() -> bool:
        nonlocal place, looks
        frame = sys._current_frames()[thread.ident or 0]
        here = frame, frame.f_lasti
        looks = looks + 1 if here == place and is_asleep(thread) else 0
        place = here
        return looks >= LOOKS

    wait_until(look)


@contextmanager
def ctrl_c() -> Iterator[None]:
    """Press Ctrl-C once, when the block waits for something; it must end by that."""
    main = threading.main_thread()

    def press() -> None:
        wait_until_stuck(main)
        signal.pthread_kill(main.ident or 0, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        thread.join(PATIENCE)


class Stage:
    """What the calls need: a modem whose module keeps them waiting, and sockets."""

    def __init__(self, simulator: Simulator, modem: Modem, port: int) -> None:
        self.simulator, self.modem, self.port = simulator, modem, port
        self.stream = connect(modem, port)
        self.stream.settimeout(None)
        self.datagram = nbsocket.socket(type=socket.SOCK_DGRAM, modem=modem)
        # Closing must not wait for a peer that reads nothing.
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def delay(self) -> None:
        """Let the next answer of the module take its time."""
        self.simulator.inject(Fault("late", delay=0.3))

    def new_socket(self) -> nbsocket.socket:
        """Return a socket of the modem."""
        return nbsocket.socket(modem=self.modem)

    def close(self) -> None:
        self.stream.close()
        self.datagram.close()


def send_for_ever(stage: Stage) -> None:
    while True:
        stage.stream.sendall(bytes(100_000))


def send_pieces_for_ever(stage: Stage) -> None:
    while True:
        stage.stream.send(bytes(100_000))


def send_lists_for_ever(stage: Stage) -> None:
    while True:
        stage.stream.sendmsg([bytes(50_000)] * 2)


def write_file_for_ever(stage: Stage) -> None:
    with suppress(BrokenPipeError), stage.stream.makefile("wb") as file:
        while True:
            file.write(bytes(100_000))


def send_datagrams_for_ever(stage: Stage) -> None:
    stage.datagram.connect((FAR, unused_port()))
    stage.simulator.inject(Fault("late", match="QISEND=", delay=0.3, times=2))
    while True:
        stage.datagram.send(bytes(500))


def send_datagrams_to_for_ever(stage: Stage) -> None:
    target = FAR, unused_port()
    stage.simulator.inject(Fault("late", match="QISEND=", delay=0.3, times=2))
    while True:
        stage.datagram.sendto(bytes(500), target)


def wait_for_a_socket(stage: Stage) -> None:
    """All of the module's sockets are in use."""
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connect(stage.modem, stage.port))
        stack.enter_context(stage.new_socket()).connect((FAR, stage.port))


def shake_hands(stage: Stage) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with connect(stage.modem, stage.port) as sock:
        sock.settimeout(None)
        context.wrap_socket(sock, server_hostname="server.example")


def connect_nowhere(stage: Stage) -> None:
    with stage.new_socket() as sock:
        sock.connect(("192.0.2.1", 80))


def receive_from(stage: Stage) -> None:
    stage.datagram.sendto(b"x", (FAR, unused_port()))
    stage.datagram.recvfrom(10)


def slow(call: Callable[[Stage], object]) -> Callable[[Stage], object]:
    """The module is slow during the call."""

    def run(stage: Stage) -> None:
        stage.delay()
        call(stage)

    return run


CALLS: dict[str, Callable[[Stage], object]] = {
    "connect": connect_nowhere,
    "create_connection": lambda stage: nbsocket.create_connection(("192.0.2.1", 80)),
    "recv": lambda stage: stage.stream.recv(10),
    "recv_into": lambda stage: stage.stream.recv_into(bytearray(10)),
    "recvmsg": lambda stage: stage.stream.recvmsg(10),
    "recvmsg_into": lambda stage: stage.stream.recvmsg_into([bytearray(10)]),
    "recvfrom of a stream": lambda stage: stage.stream.recvfrom(10),
    "select": lambda stage: select.select([stage.stream], [], []),
    "connect, all sockets in use": wait_for_a_socket,
    "TLS handshake": shake_hands,
    "makefile": lambda stage: stage.stream.makefile("rb").read(10),
    "recvfrom": receive_from,
    "recvfrom_into": lambda stage: (
        stage.datagram.sendto(b"x", (FAR, unused_port())),
        stage.datagram.recvfrom_into(bytearray(9)),
    ),
    "sendall": send_for_ever,
    "send": send_pieces_for_ever,
    "sendmsg": send_lists_for_ever,
    "makefile, writing": write_file_for_ever,
    "send of datagrams": send_datagrams_for_ever,
    "sendto": send_datagrams_to_for_ever,
    "getaddrinfo": slow(lambda stage: nbsocket.getaddrinfo("host.example", 80)),
    "gethostbyname_ex": slow(lambda stage: nbsocket.gethostbyname_ex("host.example")),
    "gethostbyaddr": slow(lambda stage: nbsocket.gethostbyaddr("host.example")),
    "gethostbyname": slow(lambda stage: nbsocket.gethostbyname("host.example")),
    "getsockopt(NB_UNACKED)": slow(lambda stage: stage.stream.getsockopt(SOL_NB, NB_UNACKED)),
    "Modem.command": slow(lambda stage: stage.modem.command("AT+CSQ")),
    "Modem.info": slow(lambda stage: stage.modem.info()),
    "Modem.status": slow(lambda stage: stage.modem.status()),
    "Modem.settings": slow(lambda stage: stage.modem.settings()),
    "Modem.details": slow(lambda stage: stage.modem.details()),
    "Modem.resolve": slow(lambda stage: stage.modem.resolve("host.example")),
    "Modem.dns_servers": slow(lambda stage: stage.modem.dns_servers()),
    "Modem.set_dns_servers": slow(lambda stage: stage.modem.set_dns_servers("192.0.2.2")),
    "Modem.ping": lambda stage: stage.modem.ping("192.0.2.1", timeout=20),
    "Modem.ntp": slow(lambda stage: stage.modem.ntp("192.0.2.1")),
    "Modem.clock": slow(lambda stage: stage.modem.clock()),
    "Modem.sockets": slow(lambda stage: stage.modem.sockets()),
    "Modem.set_baudrate": slow(lambda stage: stage.modem.set_baudrate(9600)),
}

#: Public methods of Modem with a test of their own, and one that does not wait.
ELSEWHERE = {"open", "close", "wait_attached"}
NEVER_WAITS = {"stats"}


def test_the_table_of_calls_is_complete() -> None:
    """A new method of Modem must be interrupted, too."""
    methods = {name for name, _ in inspect.getmembers(Modem, inspect.isfunction) if not name.startswith("_")}
    assert methods - ELSEWHERE - NEVER_WAITS == {name[6:] for name in CALLS if name.startswith("Modem.")}


@pytest.mark.parametrize("name", CALLS)
def test_ctrl_c(make_simulator: MakeSimulator, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from nbsocket import _modem

    simulator = make_simulator(hosts={"192.0.2.1": "timeout"})
    with tcp_server(stall) as port, Modem(simulator.path, wait_for_socket=100.0) as modem:
        monkeypatch.setattr(_modem, "_default", modem)
        stage = Stage(simulator, modem, port)
        with ctrl_c():
            CALLS[name](stage)
        stage.close()
        modem.engine.call(lambda: None).result(PATIENCE)
        assert len(modem.engine._core.requests) == 0
        wait_until(lambda: not modem.sockets())
        assert modem.command("AT") == []


def stall(sock: socket.socket) -> None:
    """Neither read nor write until the other end goes away."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll(int(PATIENCE * 1000))


def test_ctrl_c_while_attaching(make_simulator: MakeSimulator) -> None:
    with Modem(make_simulator(registration="searching").path) as modem:
        with ctrl_c():
            modem.wait_attached(100.0)
        with ctrl_c():
            connect(modem, 80, 100.0)
        assert modem.command("AT") == []


def test_ctrl_c_while_opening_and_closing(make_simulator: MakeSimulator) -> None:
    """Both can be done again at once."""
    simulator = make_simulator()
    modem = Modem(simulator.path)
    simulator.inject(Fault("silence", times=2))
    with ctrl_c():
        modem.open()
    with tcp_server(echo) as port:
        modem.open()
        sock = connect(modem, port)
        simulator.inject(Fault("silence", times=1000))
        sock.sendall(b"cannot leave")
        with ctrl_c():
            modem.close(100.0)
        began = time.monotonic()
        modem.close(0.1)
        assert time.monotonic() - began < 6.0
        sock.close()


# -- close() by another thread


def blocked(call: Callable[[], object]) -> tuple[threading.Thread, list[BaseException | object]]:
    """Run a call on another thread and return when it waits."""
    outcome: list[BaseException | object] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until_stuck(thread)
    return thread, outcome


def test_close_while_blocked_in_recv(make_simulator: MakeSimulator) -> None:
    """As with the operating system's sockets the reader stays until its deadline; the connection ends."""
    with Modem(make_simulator().path) as modem, tcp_server(echo) as port, connect(modem, port) as other:
        sock = connect(modem, port)
        sock.settimeout(0.5)
        thread, outcome = blocked(lambda: sock.recv(10))
        began = time.monotonic()
        sock.close()
        thread.join(PATIENCE)
        assert time.monotonic() - began < 3.0
        assert isinstance(outcome[0], OSError)
        wait_until(lambda: len(modem.sockets()) == 1)
        other.sendall(b"x")
        assert other.recv(10) == b"x"


def test_shutdown_wakes_a_recv_without_deadline(make_simulator: MakeSimulator) -> None:
    with Modem(make_simulator().path) as modem, tcp_server(echo) as port:
        sock = connect(modem, port)
        sock.settimeout(None)
        thread, outcome = blocked(lambda: sock.recv(10))
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        thread.join(PATIENCE)
        assert outcome == [b""]
        wait_until(lambda: not modem.sockets())


def test_modem_closed_while_blocked(make_simulator: MakeSimulator) -> None:
    """No reader without a deadline is left behind, whatever it reads from."""
    modem = Modem(make_simulator(hosts={"192.0.2.1": "timeout"}).path)
    with tcp_server(echo) as port:
        sock = connect(modem, port)
        sock.settimeout(None)
        connecting = nbsocket.socket(modem=modem)
        calls = [lambda: sock.recv(10), lambda: connecting.connect(("192.0.2.1", 80)), lambda: modem.ping("192.0.2.1")]
        waiting = [blocked(call) for call in calls]
        modem.close(1.0)
        for thread, outcome in waiting:
            thread.join(PATIENCE)
            assert outcome and (outcome == [b""] or isinstance(outcome[0], OSError))
        sock.close()
        connecting.close()
        with modem, connect(modem, port) as sock:
            sock.sendall(b"x")
            assert sock.recv(10) == b"x"


@pytest.mark.parametrize("ending", ["success", "timeout"])
def test_close_while_blocked_in_connect(make_simulator: MakeSimulator, ending: str) -> None:
    """The module's socket is given back whichever way the attempt ends."""
    hosts = {FAR: "timeout"} if ending == "timeout" else {}
    simulator = make_simulator(hosts=hosts, latency=0.3)
    with Modem(simulator.path) as modem, tcp_server(echo) as port:
        modem.wait_attached()
        sock = nbsocket.socket(modem=modem)
        sock.settimeout(0.8)
        thread, outcome = blocked(lambda: sock.connect((FAR, port)))
        sock.close()
        thread.join(PATIENCE)
        assert isinstance(outcome[0], OSError)
        wait_until(lambda: not modem.sockets())
        with connect(modem, port) if ending == "success" else nbsocket.socket(modem=modem):
            assert modem.command("AT") == []
