"""The command line in scripts: errors as JSON, commands from a pipe, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from nbsocket._cli import _ntp
from nbsocket._cli._exit import MEANINGS, ExitCode
from tests.helpers import sim_url

ROOT = Path(__file__).parents[1]


def run(*words: str, text: str | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "nbsocket", *words],
        input="" if text is None else text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_errors_are_json_with_json() -> None:
    code, output, error = run("--json", "--port", "/dev/nosuch", "info")
    assert (code, output) == (ExitCode.PORT_UNKNOWN, "")
    values = json.loads(error)
    assert values["exit_code"] == 3 and values["errno"] == 2 and "/dev/nosuch" in values["error"]
    code, _, error = run("--json", "--port", sim_url(), "resolve", "no.such.invalid")
    values = json.loads(error)
    assert (code, values["exit_code"], values["result"]) == (8, 8, 565)
    assert values["command"] == 'AT+QIDNSGIP=0,"no.such.invalid"'


def test_at_in_a_pipe() -> None:
    script = "# a remark\n+CSQ\n\nAT+NOSUCH\nI\nhelp\nquit\nAT+CEREG?\n"
    code, output, _ = run("--port", sim_url(), "at", text=script)
    assert code == 1, "one of them failed, though not the last"
    assert "+CSQ: 20,0\nOK\n" in output and "Quectel_BC260Y-CN" in output and "+CEREG: " not in output
    assert "error 100 (unknown error, as for a command that it does not know)" in output
    assert "the AT may be left out" in output
    assert run("--port", sim_url(), "at", text="+CSQ\nCSQ\nE0\n")[0] == 0


def test_at_says_what_a_number_means() -> None:
    code, _, error = run("--port", sim_url(unknown_commands="CESQ", unknown_answer="4"), "at", "+CESQ")
    assert code == 1 and "error 4 (operation not supported) to AT+CESQ" in error


def test_nothing_is_said_before_the_module_is_there() -> None:
    code, output, error = run("--port", "/dev/nosuch", "ping", "192.0.2.1")
    assert (code, output) == (3, "") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (timedelta(seconds=1), "right within 2 s"),
        (timedelta(hours=8, seconds=1), "8 hours behind: is its time zone right?"),
        (timedelta(hours=-1), "1 hour ahead: is its time zone right?"),
        (timedelta(hours=5, minutes=30), "5.5 hours behind: is its time zone right?"),
        (timedelta(minutes=7), "420 s behind"),
    ],
)
def test_difference_of_the_time_zone(offset: timedelta, words: str) -> None:
    assert _ntp._shown(offset.total_seconds()) == words


def test_difference_of_the_time_zone_is_told() -> None:
    now = datetime.now(timezone.utc) + timedelta(hours=8)
    code, output, _ = run("--port", sim_url(clock=now.timestamp()), "ntp", "192.0.2.1")
    assert code == 0 and "8 hours behind: is its time zone right?" in output


def test_one_table_of_exit_codes() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE))
    assert rows == {str(int(code)): meaning for code, meaning in MEANINGS.items()}
    shown = run("--help")[1]
    for code, meaning in MEANINGS.items():
        assert re.search(rf"^ +{int(code)}  {re.escape(meaning)}$", shown, re.MULTILINE)
