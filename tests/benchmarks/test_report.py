"""What the benchmarks print and write, and that one of them runs; never how fast anything is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import latency
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks._report import BEGIN, END, Effort, Row, compared, insert, judged, machine, percentile, table, to_json
from benchmarks._wire import limit_down, limit_up, report_size, send_steps


@pytest.mark.parametrize(
    ("value", "reference", "at_least", "at_most", "ratio", "target", "is_met"),
    [
        (97.0, 100.0, 0.97, None, 0.97, ">= 0.97", True),
        (96.0, 100.0, 0.97, None, 0.96, ">= 0.97", False),
        (1.2, 1.0, None, 1.15, 1.2, "<= 1.15", False),
        (1.1, 1.0, None, 1.15, 1.1, "<= 1.15", True),
        (1.0, 1.0, 0.8, 1.2, 1.0, ">= 0.8, <= 1.2", True),
        (3.0, None, None, 2.0, None, "<= 2", False),
        (0.0, None, None, 0.0, None, "<= 0", True),
        (0.0, 0.0, None, 1.05, None, "<= 1.05", True),
        (1.0, 0.0, None, 1.05, None, "<= 1.05", False),
        (1.0, 0.0, 1.05, None, None, ">= 1.05", False),
        (3.0, 2.0, None, None, 1.5, "", None),
    ],
)
def test_judgement(
    value: float,
    reference: float | None,
    at_least: float | None,
    at_most: float | None,
    ratio: float | None,
    target: str,
    is_met: bool | None,
) -> None:
    row = judged("latency", "it", value, "s", reference=reference, at_least=at_least, at_most=at_most)
    assert row.ratio == pytest.approx(ratio)
    assert (row.target, row.is_met) == (target, is_met)


def test_repetitions_are_compared_by_their_medians() -> None:
    row = compared("throughput", "it", [1.0, 9.0, 2.0], "B/s", [4.0, 100.0, 3.0], "floor", at_least=0.5)
    assert (row.value, row.reference, row.ratio, row.spread, row.is_met) == (2.0, 4.0, 0.5, (1.0, 9.0), True)
    assert compared("throughput", "it", [3.0], "B/s", 6.0, "limit").ratio == 0.5


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_percentiles_are_the_nearest_rank(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_a_median_of_one_and_of_none() -> None:
    assert percentile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


ROWS = [
    judged("line use", "up", 5432.1, "B/s", reference=5600, reference_name="limit", at_least=0.97, spread=(5e3, 6e3)),
    judged("processor", "idle", 3, "", at_most=0, note="why"),
    judged("scale", "import", 0.0123, "s"),
]


def test_the_table_has_a_line_for_each_row() -> None:
    lines = table(ROWS).splitlines()
    assert len(lines) == 2 + len(ROWS)
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        *("line use", "up", "5,432 B/s", "5,000 to 6,000", "limit 5,600", "0.970", ">= 0.97", "met", ""),
    ]
    assert "MISSED" in lines[3] and "why" in lines[3]
    assert "met" not in lines[4].lower() and "0.0123 s" in lines[4]


def test_the_json_has_everything() -> None:
    written = json.loads(to_json(ROWS, machine()))
    assert written["machine"]["cores"] >= 1
    assert [Row(**{**row, "spread": row["spread"] and tuple(row["spread"])}) for row in written["rows"]] == ROWS


def test_the_limit_is_that_of_the_minimal_exchange() -> None:
    assert send_steps("hex", b"123") == [(b'AT+QISEND=0,3,"313233"\r', 17)]
    assert send_steps("raw", b"123") == [(b"AT+QISEND=0,3\r", 4), (b"123", 17)]
    assert report_size("raw", 10) == len(b'\r\n+QIURC: "recv",0,10,"hi,quectel"\r\n')
    assert limit_up("hex", 115200) == pytest.approx(11520 * 512 / (len('AT+QISEND=0,512,""\r') + 1024 + 17))
    assert limit_up("raw", 9600) == pytest.approx(960 * 1024 / (len("AT+QISEND=0,1024\r") + 4 + 1024 + 17))
    assert limit_down("hex", 9600) == pytest.approx(960 * 1024 / (len('\r\n+QIURC: "recv",0,1024,""\r\n') + 2048))


def _add(name: str, rows: list[Row] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(effort: Effort) -> Iterator[Row]:
        yield judged("scale", str(effort.is_quick), 1.0, "")
        if rows is None:
            raise OSError("no port")
        yield from rows

    module = ModuleType(f"benchmarks.{name}")
    vars(module)["run"] = run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(BENCHMARKS, name, "only here")


def test_main_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _add("good", ROWS, monkeypatch)
    path = tmp_path / "new" / "figures.json"
    assert main(["good", "--quick", "--json", str(path)]) == 0
    output = capsys.readouterr().out
    assert "1 targets met, 1 missed" in output and table([judged("scale", "True", 1.0, ""), *ROWS]) in output
    written = json.loads(path.read_text())
    assert [row["what"] for row in written["rows"]] == ["True", "up", "idle", "import"]
    assert written["machine"]["arguments"][:2] == ["good", "--quick"]


def test_a_document_gets_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _add("good", ROWS, monkeypatch)
    path, paper = tmp_path / "figures.json", tmp_path / "paper.md"
    paper.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        assert main(["good", "--json", str(path), "--document", str(paper)]) == 0
        text = paper.read_text()
        assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n") and "old" not in text
        assert text.count("### ") == len({"scale", *(row.group for row in ROWS)})
        assert all(row.what in text for row in ROWS)
    with pytest.raises(ValueError, match="no place for figures"):
        insert(path, "")


def test_a_benchmark_that_fails_is_told_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _add("bad", None, monkeypatch)
    _add("good", ROWS, monkeypatch)
    path = tmp_path / "figures.json"
    assert main(["bad", "good", "--json", str(path)]) == 1
    assert "bad failed: OSError: no port" in capsys.readouterr().err
    assert len(json.loads(path.read_text())["rows"]) == 2 + len(ROWS)


def test_the_list_and_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(BENCHMARKS)
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "no benchmark nonsense" in capsys.readouterr().err


def test_a_benchmark_runs() -> None:
    rows = list(latency.run(Effort(is_quick=True, repeats=1, seconds=0.01)))
    assert {row.group for row in rows} == {"latency"}
    assert len({row.what for row in rows}) == len(rows) == 8
    for row in rows:
        assert row.value > 0 and row.reference is not None and row.reference > 0
        assert row.ratio == pytest.approx(row.value / row.reference)
        assert row.spread is not None and row.spread[0] <= row.value <= row.spread[1]
        assert row.reference_name == "floor" and row.unit == "ms"
