"""What the library tells at INFO: connections, look-ups and their ends, with times and bytes; and names in stats()."""

from __future__ import annotations

import logging
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import nbsocket
from nbsocket import Modem
from nbsocket._driver import Settings
from nbsocket._modem import look_up
from tests.driver.bench import BRING_UP, Bench, Pile
from tests.driver.responder import Responder
from tests.faults.load import wait_until
from tests.helpers import echo, logs_delivered, sim_url, tcp_server, unused_port


@pytest.fixture
def steps(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)

    def lines() -> list[str]:
        logs_delivered()
        return [re.sub(r"\d+\.\d s", "T s", record.getMessage()) for record in caplog.records]

    return lines


def test_life_of_a_connection(steps: Callable[[], list[str]]) -> None:
    with Modem(sim_url(dns={"api.example": "192.0.2.7"})) as modem, tcp_server(echo) as port:
        address = look_up(modem.engine, "api.example", None)[0]
        with nbsocket.socket(modem=modem) as sock:
            sock.connect((address, port))
            sock.sendall(b"hello")
            assert sock.recv(5) == b"hello"
            one = modem.stats().connections[-1]
            assert (one.host, one.name, one.is_open) == ("192.0.2.7", "api.example", True)
        wait_until(lambda: not modem.stats().connections[-1].is_open)
        one = modem.stats().connections[-1]
        assert (one.name, one.bytes_up, one.bytes_down) == ("api.example", 5, 5)
    told = [line for line in steps() if "api.example" in line]
    assert told == [
        "api.example is 192.0.2.7 (T s)",
        f"TCP api.example:{port} connected in T s (socket 0)",
        f"TCP api.example:{port} closed, 5 B up, 5 B down",
    ]


def test_connection_that_is_not_made(steps: Callable[[], list[str]]) -> None:
    port = unused_port()
    with Modem(sim_url()) as modem, nbsocket.socket(modem=modem) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(("192.0.2.7", port))
    assert [line for line in steps() if line.startswith("TCP")] == [
        f"TCP 192.0.2.7:{port} not connected after T s: connection refused or not possible "
        f'(result 566 of AT+QIOPEN=0,0,"TCP","192.0.2.7",{port})'
    ]


def test_connection_that_is_cut(steps: Callable[[], list[str]]) -> None:
    with Modem(sim_url()) as modem, tcp_server(echo) as port, nbsocket.socket(modem=modem) as sock:
        sock.connect(("192.0.2.7", port))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        modem.command("AT+QRST=1")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    told = [line for line in steps() if line.startswith("TCP")]
    assert told[1].startswith(f"TCP 192.0.2.7:{port} cut, 1 B up, 1 B down: the module restarted") and len(told) == 2


def test_name_that_is_not_found(steps: Callable[[], list[str]]) -> None:
    with Modem(sim_url()) as modem, pytest.raises(OSError, match="565"):
        look_up(modem.engine, "no.such.invalid", None)
    assert any(line.startswith("no.such.invalid not found after T s: ") for line in steps())


def test_waiting_for_the_network_is_warned_of_once() -> None:
    bench = Bench()
    bench.driver.port_opened(bench.now)
    bench.dialog(*BRING_UP, ("AT+CEREG?", "+CEREG: 1,2", "OK"))
    module = Responder(bench, {"AT+CEREG?": ("+CEREG: 1,2", "OK")})
    module.run(60.0)
    assert not bench.logs, "nobody waits"
    assert bench.driver.describe_wait() == "waiting for the network: not registered, searching"
    bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), bench.now)
    module.run(60.0)
    assert bench.logs == ["waiting for the network: not registered, searching"]
    module.answers["AT+CEREG?"] = ("+CEREG: 1,1", "OK")
    module.say("+CEREG: 1")
    module.run(1.0)
    assert bench.logs[1].startswith("the network is there after 1")
    assert bench.driver.describe_wait() is None
    module.answers["AT+CEREG?"] = ("+CEREG: 1,2", "OK")
    module.say("+CEREG: 2")
    module.run(30.0)
    assert bench.logs[-1] == "the network is lost: not registered, searching"


def test_what_is_waited_for_while_the_module_is_looked_for() -> None:
    bench = Bench(Settings())
    assert bench.driver.describe_wait() is None
    bench.driver.port_opened(bench.now)
    assert bench.driver.describe_wait() == "no answer from the module yet, trying 115200 baud"
    Responder(bench, rate=57600).run(4.0)
    assert bench.driver.describe_wait() == "no answer from the module yet, trying 9600 baud"


def run_on_a_terminal(words: list[str], columns: int, *, with_output: bool = False) -> tuple[bytes, bytes]:
    """Run the command line with stderr on a terminal of that width; return what stdout and the terminal got.

    ``with_output``: stdout is on the terminal, too.
    """
    leader, follower = os.openpty()
    os.set_blocking(leader, False)
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "nbsocket", *words]
    stdout = follower if with_output else subprocess.PIPE
    with subprocess.Popen(command, stdout=stdout, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                shown += os.read(leader, 4096)
            except BlockingIOError:
                if process.poll() is not None:
                    break
                select.select([leader], [], [], 0.1)
            except OSError:
                break
        output = process.stdout.read() if process.stdout is not None else b""
    os.close(leader)
    return output, shown


@pytest.mark.parametrize("columns", [60, 120])
def test_live_line_on_a_terminal(columns: int) -> None:
    words = ["--port", sim_url(attach_delay=1.5, attached=False), "resolve", "127.0.0.1"]
    output, shown = run_on_a_terminal(words, columns)
    assert output.strip() and b"\r" not in output
    lines = shown.replace(b"\n", b"").split(b"\r")
    assert any(b"waiting for the network: not registered, searching ..." in line for line in lines), shown
    assert lines[-1] == b"" and not lines[-2].strip(), "it is taken away"
    assert max(map(len, lines)) < columns


def test_nothing_live_in_a_pipe() -> None:
    words = ["--port", sim_url(attach_delay=1.5, attached=False), "resolve", "127.0.0.1"]
    done = subprocess.run([sys.executable, "-m", "nbsocket", *words], capture_output=True, timeout=60, check=False)
    assert done.stdout.strip() and not done.stderr


def test_live_line_makes_room_for_output_on_the_same_terminal() -> None:
    words = ["--port", sim_url(attach_delay=1.5, attached=False), "resolve", "127.0.0.1"]
    _, shown = run_on_a_terminal(words, 80, with_output=True)
    screen = [""]
    column = 0
    for letter in shown.decode():
        if letter == "\n":
            screen.append("")
            column = 0
        elif letter == "\r":
            column = 0
        else:
            screen[-1] = screen[-1][:column].ljust(column) + letter + screen[-1][column + 1 :]
            column += 1
    assert b"waiting for the network" in shown
    assert [line.rstrip() for line in screen if line.strip()] == ["127.0.0.1"], screen


def test_with_steps_what_is_waited_for_is_told_in_plain_lines() -> None:
    words = ["-v", "--port", sim_url(attach_delay=12.0, attached=False), "resolve", "127.0.0.1"]
    _, shown = run_on_a_terminal(words, 80)
    assert b"nbsocket: 10 s: waiting for the network: not registered, searching, no signal" in shown
    assert b" ..." not in shown


def test_module_is_told_of_at_the_start_of_a_program(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("")
    words = ["-v", "--port", sim_url(rsrp=-97), "run", str(program)]
    done = subprocess.run(
        [sys.executable, "-m", "nbsocket", *words], capture_output=True, text=True, timeout=60, check=True
    )
    assert re.search(
        r"^\d+\.\d Quectel_BC260Y-CN, firmware BC260YCNAAR01A\w+, registered, home network, signal -97 dBm, APN \w+$",
        done.stderr,
        re.MULTILINE,
    ), done.stderr


def test_program_that_waits_for_the_network_is_not_silent(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text("import socket\ntry: socket.create_connection(('192.0.2.7', 80))\nexcept OSError: pass\n")
    words = ["--port", sim_url(registration="searching"), "--attach-timeout", "12", "run", str(program)]
    command = [sys.executable, "-m", "nbsocket", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines() == [
        "nbsocket: waiting for the network: not registered, searching",
        "nbsocket: still waiting for the network: not registered, searching",
    ]


def test_program_that_waits_for_nothing_is_told_of_nothing() -> None:
    with Modem(sim_url(registration="searching")) as modem:
        assert str(modem.engine.describe_wait()).startswith("waiting for the network")
        assert modem.engine.describe_wait(is_wanted=True) is None
