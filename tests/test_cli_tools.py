"""The subcommands that ask the modem one thing: what they print, their JSON, their exit codes, their bad input."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbsocket._cli._exit import ExitCode
from tests.helpers import PATIENCE, sim_url
from tests.test_cli import Sim, environment, fails, nbsocket


def module(**options: object) -> tuple[str, str]:
    """The options for a simulated module in the command's own process."""
    return "--port", sim_url(**options)


# -- ping


def test_ping() -> None:
    port = module(ping_times="0.369,0.479", dns={"iot.example": "47.100.63.174"})
    code, output, _ = nbsocket(*port, "ping", "iot.example", "-c", "2")
    assert code == 0
    assert output.splitlines() == [
        "PING iot.example: 32 bytes, up to 20 s for each reply",
        "32 bytes from 47.100.63.174: seq=1 ttl=54 time=369 ms",
        "32 bytes from 47.100.63.174: seq=2 ttl=54 time=479 ms",
        "--- iot.example ping statistics ---",
        "2 packets transmitted, 2 received, 0% packet loss",
        "rtt min/avg/max = 369/424/479 ms",
    ]


def test_ping_without_ttl() -> None:
    code, output, _ = nbsocket(*module(firmware="A02"), "ping", "10.0.0.9", "-c", "1")
    assert (code, "ttl" in output, "32 bytes from 10.0.0.9: seq=1 time=" in output) == (0, False, True)


def test_ping_that_loses() -> None:
    code, output, _ = nbsocket(*module(ping="lossy"), "ping", "10.0.0.9", "-c", "2", "-W", "1")
    assert (code, "no answer: seq=2 (result 569)" in output, "50% packet loss" in output) == (0, True, True)


def test_ping_without_any_reply() -> None:
    code, output, _ = nbsocket(*module(ping="fail"), "ping", "10.0.0.9", "-c", "1", "-W", "1")
    assert (code, "1 packets transmitted, 0 received, 100% packet loss" in output) == (ExitCode.FAILURE, True)
    assert "rtt" not in output


def test_ping_as_json() -> None:
    code, output, _ = nbsocket("--json", *module(ping_times="0.25"), "ping", "10.0.0.9", "-c", "1")
    value = json.loads(output)
    assert (code, value["host"], value["sent"], value["rtt_avg"]) == (0, "10.0.0.9", 1, 0.25)
    assert value["replies"] == [{"address": "10.0.0.9", "size": 32, "rtt": 0.25, "ttl": 54, "result": 0}]


def test_ping_of_unknown_host() -> None:
    code, _, error = nbsocket(*module(), "ping", "nowhere.invalid")
    assert (code, "565" in error) == (ExitCode.HOST_UNKNOWN, True)


def test_interrupted_ping_prints_what_has_come() -> None:
    words = [sys.executable, "-m", "nbsocket", *module(ping_times="0.05,200"), "ping", "10.0.0.9", "-W", "250"]
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert "seq=1" in lines[1], "each reply is printed as it comes"
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(PATIENCE) == 0
    assert "1 packets transmitted, 1 received" in rest
    process.stdout.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("10.0.0.9", "-s", "31"), "size must be 32 to 1500, not 31"),
        (("10.0.0.9", "-s", "1501"), "size must be 32 to 1500, not 1501"),
        (("10.0.0.9", "-c", "0"), "count must be 1 to 10, not 0"),
        (("10.0.0.9", "-c", "11"), "count must be 1 to 10, not 11"),
        (("10.0.0.9", "-W", "-1"), "timeout must be 1 to 255, not -1"),
        (("10.0.0.9", "-W", "256"), "timeout must be 1 to 255, not 256"),
        (("h" * 151,), "1 to 150 characters, not 151"),
        (('a"b',), "without quotes"),
        (("10.0.0.9", "-s", "big"), "invalid int value: 'big'"),
        ((), "host"),
    ],
)
def test_ping_refuses(words: tuple[str, ...], sentence: str) -> None:
    assert sentence in fails(ExitCode.USAGE, *module(), "ping", *words)


def test_large_ping_with_old_firmware() -> None:
    code, _, error = nbsocket(*module(firmware="A02"), "ping", "10.0.0.9", "-s", "201")
    assert (code, "32 to 200 with firmware BC260YCNAAR01A02, not 201" in error) == (ExitCode.USAGE, True)


# -- names and time


def test_resolve() -> None:
    port = module(dns={"broker.example": "198.51.100.7"})
    assert nbsocket(*port, "resolve", "broker.example") == (0, "198.51.100.7\n", "")
    output = nbsocket("--json", *port, "resolve", "broker.example")[1]
    assert json.loads(output) == {"host": "broker.example", "addresses": ["198.51.100.7"]}
    fails(ExitCode.HOST_UNKNOWN, *port, "resolve", "nowhere.invalid")
    assert "151" in fails(ExitCode.USAGE, *port, "resolve", "h" * 151)


def test_dns() -> None:
    port = module(dns_servers="192.0.2.1,192.0.2.2,2001:db8::1,")
    code, output, _ = nbsocket(*port, "dns")
    rows = [line.rsplit(maxsplit=1) for line in output.splitlines()]
    assert rows == [
        ["primary IPv4", "192.0.2.1"],
        ["secondary IPv4", "192.0.2.2"],
        ["primary IPv6", "2001:db8::1"],
        ["secondary IPv6", "none"],
    ]
    code, output, _ = nbsocket("--json", *port, "dns", "set", "1.1.1.1", "9.9.9.9")
    value = json.loads(output)
    assert (code, value["primary_ipv4"], value["secondary_ipv4"]) == (0, "1.1.1.1", "9.9.9.9")


@pytest.mark.parametrize(
    "words", [("set",), ("set", "a", "b", "c"), ("set", "dns.example"), ("show", "1.1.1.1"), ("clear",)], ids=" ".join
)
def test_dns_refuses(words: tuple[str, ...]) -> None:
    fails(ExitCode.USAGE, *module(), "dns", *words)


def test_ntp() -> None:
    port = module(clock="1700000000")
    code, output, _ = nbsocket(*port, "ntp", "ntp.example")
    assert code == 0 and re.match(r"2023-11-14 22:13:2\d UTC \(this machine's clock is \d+ s ahead\)\n", output)
    code, output, _ = nbsocket("--json", *port, "ntp", "--set", "ntp.example")
    value = json.loads(output)
    assert (code, value["is_clock_set"], value["time"][:15]) == (0, True, "2023-11-14T22:1")
    assert value["clock"][:15] == "2023-11-14T22:1"
    assert "65536" in fails(ExitCode.USAGE, *port, "ntp", "ntp.example", "--server-port", "65536")
    fails(ExitCode.HOST_UNKNOWN, *port, "ntp", "nowhere.invalid")


# -- sockets


def test_sockets_shows_and_leaves_what_others_opened() -> None:
    sim = Sim("--orphans", "2")
    try:
        for _ in range(2):
            code, output, _ = nbsocket("--json", "--port", sim.port, "sockets")
            rows = json.loads(output)
            assert (code, [(row["socket_id"], row["service"], row["is_ours"]) for row in rows]) == (
                0,
                [(0, "TCP", False), (1, "UDP", False)],
            )
        code, output, _ = nbsocket("--port", sim.port, "sockets", "--id", "1")
        assert output.splitlines()[1].split() == ["1", "UDP", "203.0.113.9", "port", "7", "automatic", "connected"]
        assert len(nbsocket("--port", sim.port, "sockets", "--context", "0")[1].splitlines()) == 3
    finally:
        sim.stop()


def test_sockets_when_there_are_none() -> None:
    assert nbsocket(*module(), "sockets") == (0, "no socket is open\n", "")


@pytest.mark.parametrize("words", [("--id", "5"), ("--id", "-1"), ("--context", "1"), ("--id", "0", "--context", "0")])
def test_sockets_refuses(words: tuple[str, ...]) -> None:
    fails(ExitCode.USAGE, *module(), "sockets", *words)


# -- at


def test_at() -> None:
    assert nbsocket(*module(), "at", "AT+CSQ") == (0, "+CSQ: 20,0\nOK\n", "")
    code, output, _ = nbsocket("--json", *module(), "at", "AT+QIOPEN=?")
    value = json.loads(output)
    assert (code, value["command"]) == (0, "AT+QIOPEN=?")
    assert value["lines"] == ['+QIOPEN: (0-11),(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,(1)']


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ('AT+QIDNSGIP=0,"a.example"', ["OK", "+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.51.100.7"]),
        ('AT+QPING=0,"10.0.0.9",4,1', ["OK", "+QPING: 0,10.0.0.9,32,0,54", "+QPING: 0,1,1,0,0,0,0"]),
        ('AT+QNTP=0,"nowhere.invalid"', ["OK", "+QNTP: 565"]),
        ("AT+QICLOSE=0", ["OK", "CLOSE OK"]),
        ('AT+QISEND=0,3,"313233"', ["SEND OK"]),
    ],
)
def test_at_shows_the_outcome(command: str, output: list[str]) -> None:
    port = module(dns={"a.example": "198.51.100.7"}, orphans=1)
    assert nbsocket(*port, "at", command) == (0, "\n".join(output) + "\n", "")


@pytest.mark.parametrize(
    ("command", "payload"),
    [("AT+QISEND=0", "hello"), ("AT+QISEND=0,3", r"\x1a\r\""), ("AT+QISEND=0", "x" * 1024)],
)
def test_at_with_payload(command: str, payload: str) -> None:
    assert nbsocket(*module(orphans=1), "at", command, "--payload", payload) == (0, "SEND OK\n", "")


def test_at_with_a_send_that_is_cancelled() -> None:
    code, _, error = nbsocket(*module(orphans=1), "at", "AT+QISEND=0", "--payload", r"\x1b")
    assert (code, "result 571" in error) == (ExitCode.FAILURE, True)


UNKNOWN = "error 100 (unknown error, as for a command that it does not know) to AT+NOSUCH"


def test_at_with_an_error() -> None:
    code, output, error = nbsocket(*module(), "at", "AT+NOSUCH")
    assert (code, output, error) == (ExitCode.FAILURE, "", "nbsocket: the module answered " + UNKNOWN + "\n")


@pytest.mark.parametrize(
    "words",
    [
        ("é",),
        ("AT\rAT+CFUN=0",),
        ("AT+QISEND=0",),
        ("AT+QISEND=0,4", "--payload", "abc"),
        ("AT+CSQ", "--payload", "abc"),
        ("AT+QISEND=0", "--payload", r"a\x1a"),
        ("--payload", "abc"),
    ],
)
def test_at_refuses(words: tuple[str, ...]) -> None:
    fails(ExitCode.USAGE, *module(), "at", *words)


def test_at_reads_commands_from_a_pipe() -> None:
    words = [sys.executable, "-m", "nbsocket", *module(orphans=1), "at"]
    typed = "AT+CSQ\n\nAT+NOSUCH\nAT+QISEND=0,5\nhello\nAT+CEREG?\n"
    done = subprocess.run(words, env=environment(), input=typed, capture_output=True, text=True, timeout=50)
    assert done.stdout.splitlines() == [
        "+CSQ: 20,0",
        "OK",
        f"error: the module answered {UNKNOWN}",
        "SEND OK",
        "+CEREG: 1,1",
        "OK",
    ]
    assert (done.returncode, done.stderr) == (1, ""), "one of them failed"


class Terminal:
    """A command line that someone types to."""

    def __init__(self, home: Path, *words: str) -> None:
        ours, theirs = pty.openpty()
        self._fd = ours
        self._text = ""
        variables = {**environment(), "HOME": str(home), "TERM": "dumb"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbsocket", *words], env=variables, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def wait_for(self, text: str) -> str:
        """Read until ``text`` has come; return all up to there."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._text:
            assert select.select([self._fd], [], [], deadline - time.monotonic())[0], self._text
            self._text += os.read(self._fd, 4096).decode()
        end = self._text.index(text) + len(text)
        seen, self._text = self._text[:end], self._text[end:]
        return seen

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def close(self) -> int:
        """Return the exit code."""
        code = self.process.wait(PATIENCE)
        os.close(self._fd)
        return code


@pytest.fixture
def orphaned() -> Iterator[Sim]:
    sim = Sim("--orphans", "1")
    yield sim
    sim.stop()


def test_at_as_a_conversation_with_history(tmp_path: Path, orphaned: Sim) -> None:
    terminal = Terminal(tmp_path, "--port", orphaned.port, "at")
    assert "Ctrl-D ends" in terminal.wait_for("> ")
    terminal.type("AT+CSQ\n")
    assert "+CSQ: 20,0" in terminal.wait_for("OK")
    terminal.type('+CPIN="8642"\n')
    terminal.wait_for("error: ")
    terminal.wait_for("> ")
    terminal.type("AT+NOSUCH\n")
    terminal.wait_for("error: the module answered error 100")
    terminal.wait_for("> ")
    terminal.type("AT+QISEND=0\n")
    terminal.wait_for("payload> ")
    terminal.type("hello\n")
    terminal.wait_for("SEND OK")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.close() == 0
    remembered = (tmp_path / ".nbsocket_history").read_text()
    assert "AT+CSQ" in remembered.splitlines() and "8642" not in remembered


# -- baud


def test_baud_over_a_pty_that_has_a_rate() -> None:
    sim = Sim("--baudrate", "9600", "--strict-baud")
    try:
        assert nbsocket("--port", sim.port, "baud") == (0, "in use    9600\nstored    9600\n", "")
        code, output, _ = nbsocket("--json", "--port", sim.port, "baud", "--set", "460800", "--yes")
        assert (code, json.loads(output)) == (0, {"baudrate": 460800, "stored": 460800})
        assert nbsocket("--port", sim.port, "--baudrate", "460800", "at", "AT+CSQ")[0] == 0
        fails(ExitCode.USAGE, "--port", sim.port, "--baudrate", "460800", "baud", "--set", "9600")
    finally:
        sim.stop()


@pytest.mark.parametrize(("answer", "rate"), [("y", 460800), ("n", 115200), ("", 115200)])
def test_baud_asks_first(tmp_path: Path, answer: str, rate: int) -> None:
    terminal = Terminal(tmp_path, *module(), "baud", "--set", "460800")
    assert "stores its rate" in terminal.wait_for("[y/N] ")
    terminal.type(answer + "\n")
    terminal.wait_for("in use    460800" if rate == 460800 else "nothing was changed")
    assert terminal.close() == (0 if rate == 460800 else 1)


def test_baud_refuses() -> None:
    assert "one of 2400" in fails(ExitCode.USAGE, *module(), "baud", "--set", "12345", "--yes")
