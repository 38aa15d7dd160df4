"""Every example of BC260Y-CN TCP/IP guide 1.1 §4, and those of other models, replayed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.sim.bench import Bench
from tests.transcripts import MODEL_NAMES, NAMES, Step, load

OPTIONS: dict[str, dict[str, Any]] = {
    "4.1-initialise": {"address": "10.177.135.245"},
    "4.2.10-dead-connection-closed": {"idle_timeout": 600.0, "dead_after": 30.0},
    "4.2.10-dead-connection-silent": {"idle_timeout": 600.0},
    "4.4-resolve": {"dns": {"baidu.com": "39.156.69.79"}},
    "4.5-dns-servers": {"dns_servers": ("1.1.1.1", "2.2.2.2", "240E:5A::6666", "240E:5B::6666")},
    "4.6-ping": {
        "firmware": "A02",
        "dns": {"iot.quectel.com": "47.100.63.174"},
        "ping_times": (0.369, 0.479, 0.484, 0.260),
    },
    "4.7-time": {"clock": 1560222500.0, "ntp_prefix": "QNTTP", "ntp_time": "example"},
    "bc66/resolve-and-ping": {"dns": {"www.example.com": "39.156.69.79"}, "ping_times": (0.410, 0.450)},
    "bc660k/at-2.5-serial-number": {"imei": "866818039921444"},
    "bc660k/direct-push": {"dns_servers": ("8.8.8.8", "", "", "")},
}


class Replay:
    """Plays a transcript's host; its notes say what happens outside the line."""

    def __init__(self, name: str) -> None:
        options = dict(OPTIONS.get(name, {}))
        if "/" in name:
            options["model"] = name.partition("/")[0]
        self.bench = Bench(**options)

    def play(self, steps: list[Step]) -> None:
        expected = output = b""
        for step in steps:
            if step.kind == "module":
                expected += step.data
                continue
            output += b"" if step.kind == "note" and step.text.startswith("before") else self.settle(expected, output)
            assert output == expected
            expected = output = b""
            output = self.bench.write(step.data) if step.kind == "host" else self.happen(step.text)
        assert output + self.settle(expected, output) == expected

    def settle(self, expected: bytes, output: bytes) -> bytes:
        """Let the time pass that the module needs for what it is to say."""
        return self.bench.run(12.0) if len(output) < len(expected) else b""

    def happen(self, note: str) -> bytes:
        bench = self.bench
        if note.startswith("before"):
            self.prepare(note)
        elif match := re.search(r"the server sends (.*) on socket 0", note):
            bench.network.connections[-1].send(match.group(1).encode())
        elif match := re.search(r"(\d+) s later", note):
            return bench.run(float(match.group(1)))
        elif "wakes it" in note:
            bench.write(b"AT\r")
            return b'\r\n+QNBIOEVENT: "EXIT DEEPSLEEP"\r\n'
        elif "falls asleep" not in note:
            raise AssertionError(f"unknown note {note!r}")
        return bench.read()

    def prepare(self, note: str) -> None:
        bench = self.bench
        formats = re.search(r"dataformat (\d),(\d)", note)
        if formats:
            bench.say(f'AT+QICFG="dataformat",{formats.group(1)},{formats.group(2)}')
        service = re.search(r"socket 0 is connected, (TCP|UDP)", note)
        assert service
        bench.open(0, service.group(1))
        if sent := re.search(r"(\d+) bytes sent", note):
            bench.say(f"AT+QISEND=0,{sent.group(1)}")
            bench.write(b"x" * int(sent.group(1)))
        if "forgotten" in note:
            bench.run(601)
        bench.read()


@pytest.mark.parametrize("name", [*NAMES, *MODEL_NAMES])
def test_transcript(name: str) -> None:
    Replay(name).play(load(name))


def test_there_are_transcripts() -> None:
    assert len(NAMES) >= 25
