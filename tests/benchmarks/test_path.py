"""The count of calls: the same every time, and shown by what is called where."""

from __future__ import annotations

import json
import sysconfig
from collections import Counter

import pytest

from benchmarks import _path_app as app
from benchmarks import path
from benchmarks._bench import Process

ENGINE = "/home/user/nbsocket/checkout/nbsocket/_engine/_engine.py"


def test_every_step_is_counted_and_the_count_is_the_same_every_time() -> None:
    with Process(["-m", "benchmarks._path_app", "--repeats=5"]) as process:
        steps = process.hello
    assert set(steps) == set(path.STEPS)
    for figures in steps.values():
        # A stall of the machine in the middle of one adds what its timers do.
        assert figures["repetitions"].count(figures["calls"]) >= 2
        assert sum(figures["folders"].get(folder, 0) for folder in app.FOLDERS) == figures["calls"] > 0
        assert sum(figures["folders"].values()) == figures["all"]
        assert sum(row["calls"] for row in figures["functions"]) == figures["all"]


@pytest.mark.parametrize(
    "file, folder",
    [
        (ENGINE, "_engine"),
        ("/home/user/checkout/nbsocket/_port.py", "_port"),
        (sysconfig.get_path("stdlib") + "/enum.py", "standard library"),
        ("<string>", "standard library"),
        ("/home/user/program.py", "other"),
    ],
)
def test_a_function_belongs_to_a_part_of_the_library(file: str, folder: str) -> None:
    assert app.folder_of((file, "name")) == folder


@pytest.mark.parametrize(
    "name, is_function",
    [
        ("Engine._after", True),
        ("start.<locals>.<lambda>", True),
        ("<lambda>", True),
        ("Driver._deadlines.<locals>.<genexpr>", False),
        ("<listcomp>", False),
    ],
)
def test_comprehensions_are_no_functions(name: str, is_function: bool) -> None:
    assert app.is_function((ENGINE, name)) is is_function


def test_a_step_is_summed_up_by_its_least_count() -> None:
    def counter(calls: int) -> Counter[app.Place]:
        return Counter({(ENGINE, "Engine._after"): calls, (ENGINE, "<genexpr>"): 4, ("/program.py", "run"): 2})

    figures = app.summary([counter(9), counter(3), counter(7)])
    assert figures["calls"] == 3
    assert figures["repetitions"] == [9, 3, 7]
    assert figures["all"] == 9
    assert figures["folders"] == {"comprehensions": 4, "_engine": 3, "other": 2}
    assert figures["functions"][0] == {"function": "_engine/_engine.py <genexpr>", "calls": 4}


def test_rows_have_targets() -> None:
    step = app.summary([Counter({(ENGINE, "Engine._after"): 180})])
    rows = list(path.rows(json.loads(json.dumps(dict.fromkeys(path.STEPS, step)))))
    assert [row.is_met for row in rows] == [True, False, False, True, True, None]
    assert rows[0].group == "path" and rows[0].value == 180 and rows[0].target == "<= 190"
    assert rows[0].note == "_engine 180; 180 in all"
