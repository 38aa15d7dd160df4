"""What is waited for, on stderr: the live line, the plain lines, and how often the signal is asked for."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace

import pytest

from nbsocket._cli import _progress
from nbsocket._cli._progress import FIRST_SIGNAL, NETWORK, PLAIN_INTERVAL, SIGNAL_INTERVAL, Progress

#: Longest that a thread may take here.
LONG = 10.0


class Stream(io.StringIO):
    """stderr on a terminal, or in a file."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal
        #: Something was written.
        self.is_written = threading.Event()

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self.is_written.set()
        return super().write(text)


def put_on_terminal(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Put stderr on a terminal that understands a carriage return. No fixture: pytest would take its own again."""
    stream = Stream(is_terminal=True)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FIRST", "INTERVAL"):
        monkeypatch.setattr(_progress, name, 0.001)
    return stream


def test_signal_is_asked_for_after_5_seconds_and_then_every_10(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    asked = []

    def ask() -> str:
        asked.append(now)
        return ", signal -87 dBm"

    monkeypatch.setattr(_progress, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(_progress, "_ask_signal", ask)
    signal = _progress._Signal()
    words = {}
    while now <= 40:
        words[now] = signal.beside(NETWORK)
        now += 0.25
    assert (FIRST_SIGNAL, SIGNAL_INTERVAL, PLAIN_INTERVAL) == (5.0, 10.0, 10.0)
    assert asked == [5.0, 15.0, 25.0, 35.0]
    assert words[4.75] == NETWORK
    assert words[5.0] == words[10.0] == f"{NETWORK}, signal -87 dBm"


def test_signal_is_asked_for_anew_after_another_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(_progress, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(_progress, "_ask_signal", lambda: ", no signal")
    signal = _progress._Signal()
    assert signal.beside(NETWORK) == NETWORK
    now = 5.0
    assert signal.beside(NETWORK) == f"{NETWORK}, no signal"
    assert signal.beside("trying 9600 baud") == "trying 9600 baud"
    assert signal.beside(None) is None
    assert signal.beside(NETWORK) == NETWORK
    now = 9.75
    assert signal.beside(NETWORK) == NETWORK
    now = 10.0
    assert signal.beside(NETWORK) == f"{NETWORK}, no signal"


def test_live_line_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = put_on_terminal(monkeypatch)
    monkeypatch.setattr(_progress, "_describe", lambda: "trying 9600 baud")
    with Progress():
        assert terminal.is_written.wait(LONG)
    shown = terminal.getvalue()
    assert "\r0 s  trying 9600 baud ..." in shown
    assert shown.endswith("\r" + " " * len("0 s  trying 9600 baud ...") + "\r")


def test_end_does_not_wait_for_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = put_on_terminal(monkeypatch)
    is_asked, is_answered = threading.Event(), threading.Event()

    def ask() -> str:
        is_asked.set()
        is_answered.wait(LONG)
        return ", signal -87 dBm"

    monkeypatch.setattr(_progress, "_describe", lambda: NETWORK)
    monkeypatch.setattr(_progress, "_ask_signal", ask)
    monkeypatch.setattr(_progress, "FIRST_SIGNAL", 0.01)
    monkeypatch.setattr(_progress, "STOP_TIMEOUT", 0.01)
    with Progress() as progress:
        assert is_asked.wait(LONG)
    shown = terminal.getvalue()
    assert shown.endswith(" \r"), "the line is taken away while the thread waits"
    is_answered.set()
    progress._thread.join(LONG)
    assert not progress._thread.is_alive()
    assert terminal.getvalue() == shown, "an answer that comes later is not shown"


def test_plain_lines_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    is_asked, is_answered = threading.Event(), threading.Event()

    def describe() -> str:
        is_asked.set()
        is_answered.wait(LONG)
        return "trying 9600 baud"

    stream = Stream(is_terminal=False)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(_progress, "_describe", describe)
    for name, seconds in {"FIRST": 0.001, "PLAIN_INTERVAL": 0.0, "STOP_TIMEOUT": 0.01}.items():
        monkeypatch.setattr(_progress, name, seconds)
    with Progress() as progress:
        assert is_asked.wait(LONG)
    is_answered.set()
    progress._thread.join(LONG)
    assert stream.getvalue() == ""
