"""The running simulator: its lines, its thread, real servers."""

from __future__ import annotations

import os
import select
import socket
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from nbsocket.sim import Fault, Options, Simulator, open_url

PATIENCE = 10.0


class Host:
    """A program at the host's end of the line: any file descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def until(self, end: bytes) -> bytes:
        output, deadline = b"", time.monotonic() + PATIENCE
        while end not in output:
            assert select.select([self.fd], [], [], max(0.0, deadline - time.monotonic()))[0], output
            output += os.read(self.fd, 65536)
        return output

    def say(self, line: str, end: str = "\r\nOK\r\n") -> bytes:
        os.write(self.fd, line.encode() + b"\r")
        return self.until(end.encode())


@pytest.fixture
def echo_port() -> Iterator[int]:
    """The port of a TCP server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket) -> None:
    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(peer,), daemon=True).start()


def _echo(peer: socket.socket) -> None:
    with peer:
        while data := peer.recv(65536):
            peer.sendall(data)


def test_a_pty_is_a_serial_port_for_any_program(echo_port: int) -> None:
    with Simulator(Options(latency=0.01)) as simulator, serial.Serial(simulator.path, 9600, timeout=PATIENCE) as port:
        assert stat.S_IMODE(os.stat(simulator.path).st_mode) == 0o600
        host = Host(port.fileno())
        assert host.say("ATE0") == b"ATE0\r\r\nOK\r\n"
        host.say(f'AT+QIOPEN=0,0,"TCP","echo.example",{echo_port}', "+QIOPEN: 0,0\r\n")
        host.say("AT+QISEND=0,256", "> ")
        os.write(port.fileno(), bytes(range(256)))
        report = b'+QIURC: "recv",0,256,"' + bytes(range(256)) + b'"\r\n'
        assert host.until(report).endswith(report)
        assert b"+QISEND: 256,256,0" in host.say("AT+QISEND=0,0")
        host.say("AT+QICLOSE=0", "CLOSE OK\r\n")
        assert simulator.commands[0] == "ATE0" and simulator.commands[-1] == "AT+QICLOSE=0"
        stats = simulator.stats()
        assert stats.commands == 5
        assert (stats.sockets[0].sent, stats.sockets[0].received) == (256, 256)
        assert stats.bytes_up > 256 and stats.bytes_down > 256


def test_a_socket_pair_inside_the_process() -> None:
    simulator = open_url("sim://?firmware=A02&echo=no")
    try:
        assert b"Revision: BC260YCNAAR01A02" in Host(simulator.fileno()).say("ATI")
        assert simulator.path == ""
    finally:
        simulator.stop()
    simulator.stop()
    with pytest.raises(OSError, match="no file descriptor"):
        simulator.fileno()


@pytest.mark.parametrize("line", ["pty", "socketpair"])
def test_bulk_both_ways(line: str, echo_port: int) -> None:
    options = Options(echo=False, send_format="hex", receive_format="hex")
    with Simulator(options, line=line) as simulator:
        if line == "pty":
            fd = os.open(simulator.path, os.O_RDWR | os.O_NOCTTY)
        else:
            fd = os.dup(simulator.fileno())
        try:
            host = Host(fd)
            host.say(f'AT+QIOPEN=0,0,"TCP","127.0.0.1",{echo_port}', "+QIOPEN: 0,0\r\n")
            output = b""
            for number in range(100):
                output += host.say(f'AT+QISEND=0,512,"{number:02x}' + "00" * 511 + '"', "SEND OK\r\n")
            deadline = time.monotonic() + PATIENCE
            while sum(int(part.split(b",")[1]) for part in output.split(b'"recv",')[1:]) < 51200:
                assert select.select([fd], [], [], deadline - time.monotonic())[0]
                output += os.read(fd, 65536)
        finally:
            os.close(fd)


def test_the_link_leads_to_the_device_and_goes_away(tmp_path: Path) -> None:
    link = tmp_path / "ttyNB"
    link.symlink_to("/nowhere")  # left by a simulator that was killed
    with Simulator(link=str(link)) as simulator:
        assert simulator.path == str(link)
        assert Path(os.readlink(link)).is_char_device()
    assert not os.path.lexists(link)


def test_a_link_never_replaces_a_file(tmp_path: Path) -> None:
    link = tmp_path / "precious"
    link.write_text("data")
    with pytest.raises(FileExistsError):
        Simulator(link=str(link))
    assert link.read_text() == "data"


def test_a_link_that_is_now_someone_elses_is_left_alone(tmp_path: Path) -> None:
    link = tmp_path / "ttyNB"
    with Simulator(link=str(link)):
        link.unlink()
        link.symlink_to("/dev/null")
    assert os.readlink(link) == "/dev/null"


def test_the_link_goes_away_when_the_program_ends(tmp_path: Path) -> None:
    link = tmp_path / "ttyNB"
    program = f"from nbsocket.sim import Simulator; Simulator(link={str(link)!r}).start()"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30, cwd=Path(__file__).parents[2])
    assert not os.path.lexists(link)


@pytest.mark.parametrize("arguments", [{"line": "usb"}, {"line": "socketpair", "link": "/tmp/x"}])
def test_wrong_lines_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"line|link"):
        Simulator(**arguments)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("line", ["pty", "socketpair"])
def test_the_port_vanishes_and_comes_back(line: str, tmp_path: Path) -> None:
    link = str(tmp_path / "ttyNB") if line == "pty" else None
    with Simulator(Options(echo=False), line=line, link=link) as simulator:
        fd = os.open(simulator.path, os.O_RDWR | os.O_NOCTTY) if line == "pty" else os.dup(simulator.fileno())
        Host(fd).say('AT+QICFG="dataformat",1,1')
        simulator.inject(Fault("hang_up"))
        assert select.select([fd], [], [], PATIENCE)[0]
        try:
            assert os.read(fd, 100) == b""
        except OSError as error:
            assert error.errno == 5
        os.close(fd)
        simulator.plug_in()
        fd = os.open(simulator.path, os.O_RDWR | os.O_NOCTTY) if line == "pty" else os.dup(simulator.fileno())
        assert b'"dataformat",1,1' in Host(fd).say('AT+QICFG="dataformat"')
        os.close(fd)
    assert link is None or not os.path.lexists(link)


def test_stop_is_seen_by_the_host() -> None:
    simulator = Simulator(line="socketpair").start()
    fd = os.dup(simulator.fileno())
    simulator.stop()
    assert os.read(fd, 1) == b""
    os.close(fd)


def test_faults_are_armed_when_inject_returns() -> None:
    with open_url("sim://?echo=no") as simulator:
        host = Host(simulator.fileno())
        simulator.inject(Fault("error", match="CSQ"))
        host.say("AT+CSQ", "\r\nERROR\r\n")
        simulator.power_on()
        assert b"RDY" in host.until(b"+IP: ")


def test_not_attached_means_a_boot_at_start() -> None:
    with open_url("sim://?attached=no") as simulator:
        assert Host(simulator.fileno()).until(b"+IP: ").startswith(b"\r\nRDY\r\n")


def test_the_clock_is_the_machines() -> None:
    with open_url("sim://?echo=no&time_zone=0") as simulator:
        answer = Host(simulator.fileno()).say("AT+CCLK?").decode()
        stated = time.strptime(answer.split('"')[1][:17], "%y/%m/%d,%H:%M:%S")
        assert abs(time.mktime(stated) - time.mktime(time.gmtime())) < 5


def test_an_idle_simulator_does_not_wake_up(echo_port: int) -> None:
    with open_url("sim://?echo=no&latency=0.01&baudrate=115200") as simulator:
        host = Host(simulator.fileno())
        host.say(f'AT+QIOPEN=0,0,"TCP","127.0.0.1",{echo_port}', "+QIOPEN: 0,0\r\n")
        host.say("AT")
        before = simulator.stats().wakeups
        assert not select.select([simulator.fileno()], [], [], 0.2)[0]
        assert simulator.stats().wakeups - before <= 1


def test_strict_baud_looks_at_the_hosts_rate() -> None:
    options = Options(strict_baud=True, baudrate=9600, echo=False)
    with Simulator(options) as simulator, serial.Serial(simulator.path, 115200) as port:
        os.write(port.fileno(), b"AT\r")
        assert not select.select([port.fileno()], [], [], 0.1)[0]
        port.baudrate = 9600
        assert termios.tcgetattr(port.fileno())[5] == termios.B9600
        assert Host(port.fileno()).say("AT") == b"\r\nOK\r\n"
    with open_url("sim://?strict_baud=yes&echo=no&baudrate=9600") as simulator:
        simulator.set_baudrate(115200)
        os.write(simulator.fileno(), b"AT\r")
        assert not select.select([simulator.fileno()], [], [], 0.1)[0]
        simulator.set_baudrate(9600)
        assert Host(simulator.fileno()).say("AT") == b"\r\nOK\r\n"


def test_a_host_that_does_not_read_costs_nothing_and_loses_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, open_url("sim://?echo=no") as simulator:
        host = Host(simulator.fileno())
        host.say(f'AT+QIOPEN=0,0,"TCP","127.0.0.1",{server.getsockname()[1]}', "+QIOPEN: 0,0\r\n")
        peer, _ = server.accept()
        sender = threading.Thread(target=peer.sendall, args=(b"x" * 1_000_000,), daemon=True)
        sender.start()
        while simulator.stats().bytes_down < 4096:
            select.select([], [], [], 0.01)
        before = simulator.stats().wakeups
        select.select([], [], [], 0.1)
        assert simulator.stats().wakeups - before < 5
        assert len(simulator.module.uart.outbound) < 100_000
        received = 0
        while received < 1_000_000:
            received += os.read(host.fd, 65536).count(b"x") if select.select([host.fd], [], [], PATIENCE)[0] else 0
        assert received == 1_000_000
        sender.join()
        peer.close()


def test_the_sockets_are_genuine_even_when_all_is_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise AssertionError("the simulator used a method of socket.socket")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    for name in ("connect", "connect_ex", "send", "sendall", "sendto", "recv", "recv_into", "bind", "setsockopt"):
        monkeypatch.setattr(socket.socket, name, forbidden, raising=False)
    with open_url("sim://?echo=no") as simulator:
        host = Host(simulator.fileno())
        host.say(f'AT+QIOPEN=0,0,"TCP","127.0.0.1",{port},0,1', "+QIOPEN: 0,0\r\n")
        host.say('AT+QISEND=0,2,"hi"', "SEND OK\r\n")
        host.say('AT+QIOPEN=0,1,"UDP","127.0.0.1",9', "+QIOPEN: 1,0\r\n")
        host.say('AT+QISEND=1,2,"hi"', "SEND OK\r\n")
    listener.close()
