"""A module that ignores commands which come too soon after its last answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nbsocket._driver import Connected, RawCommand, RequestDone, Settings
from nbsocket._driver._command_pace import FIRST_SPAN, PAUSE, CommandPace
from tests.driver.bench import BRING_UP, Bench, Pile
from tests.driver.responder import Responder


def deaf(module: Responder, is_deaf: Callable[[], bool] = lambda: True) -> None:
    """Have the module ignore what comes within a second of its last answer."""
    answer, last = module._answer, float("-inf")

    def take(line: str) -> None:
        nonlocal last
        if is_deaf() and module.bench.now < last + 1.0:
            module.lines.append(f"ignored: {line}")
            return
        last = module.bench.now
        answer(line)

    module._answer = take  # type: ignore[method-assign]  # this module's own way


def ask(module: Responder, seconds: float) -> bool:
    module.bench.events.clear()
    module.bench.driver.submit(RawCommand("AT+CSQ"), None, module.bench.now)
    return module.run(seconds, lambda: any(isinstance(event, RequestDone) for event in module.bench.events))


def ignored(module: Responder) -> int:
    return sum(line.startswith("ignored") for line in module.lines)


def test_module_that_always_does_it_is_brought_up_and_used() -> None:
    module = Responder(Bench(Settings(baudrate=115200)))
    deaf(module)
    assert module.open(40.0), module.lines
    assert ignored(module) == 2
    module.answers['AT+QIOPEN=0,0,"TCP","10.0.0.9",80'] = ("OK", "+QIOPEN: 0,0")
    module.bench.driver.open("TCP", "10.0.0.9", 80, 0, Pile(), module.bench.now)
    assert module.run(5.0, lambda: any(isinstance(event, Connected) for event in module.bench.events)), module.lines
    assert all(ask(module, 2.0) for _ in range(5))
    assert ignored(module) == 2


def test_pace_is_slow_for_a_time_only() -> None:
    module = Responder(Bench(Settings(baudrate=115200)))
    end = 0.0
    deaf(module, lambda: module.bench.now < end)
    end = module.bench.now + 30.0
    assert module.open(40.0)
    module.run(FIRST_SPAN)
    begin = module.bench.now
    assert all(ask(module, 2.0) for _ in range(5))
    assert module.bench.now == begin


def test_one_lost_command_changes_nothing() -> None:
    bench = Bench()
    bench.start()
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT+CSQ")
    bench.advance(5.1)
    bench.dialog(("AT", "OK"), BRING_UP[4])
    for _ in range(3):
        bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
        bench.dialog(("AT+CSQ", "+CSQ: 20,0", "OK"))


def test_idle_driver_sleeps_on_all_the_same() -> None:
    module = Responder(Bench(Settings(baudrate=115200)))
    deaf(module)
    assert module.open(40.0)
    module.run(PAUSE)
    assert module.bench.driver.next_deadline() is None


@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_span_doubles_while_it_is_in_vain(times: int) -> None:
    pace, now = CommandPace(), 0.0

    def give(is_answered: bool, after: float) -> None:
        nonlocal now
        now += after
        pace.sent(now)
        (pace.answered if is_answered else pace.unanswered)(now)

    give(True, 0.0)
    give(False, 0.0)
    assert pace.ready_at is None
    for _ in range(times):
        give(False, 0.0)
        span = pace._slow_until - now
        give(True, span - 1.0)
        assert pace.ready_at == now + PAUSE
        give(True, 2.0)
        assert pace.ready_at is None
    assert span == min(FIRST_SPAN * 2 ** (times - 1), 3600.0)
    give(True, 0.0)
    give(False, 0.0)
    assert pace.ready_at is None, "an answer in between shows that it is over"
