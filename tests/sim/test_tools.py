"""Names, ping, time: BC260Y-CN TCP/IP guide 1.1 §2.3.6 to §2.3.9."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from nbsocket.sim import ModelConnection, ModelNetwork
from tests.sim.bench import ERROR, OK, Bench, lines


@pytest.mark.parametrize("command", ["QIDNSGIP", "QDNSGIP"])
def test_a_name_has_one_address_always_the_same(command: str) -> None:
    answers = [Bench(latency=0.5) for _ in range(2)]
    outputs = []
    for bench in answers:
        assert bench.say(f'AT+{command}=0,"broker.example"') == OK
        assert bench.run(0.4) == b""
        outputs.append(bench.run(0.1))
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith(lines("+QIDNSGIP: 0,1,0") + b"\r\n+QIDNSGIP: 198.1")


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("baidu.com", {"dns": {"baidu.com": "39.156.69.79"}}, lines("+QIDNSGIP: 0,1,0", "+QIDNSGIP: 39.156.69.79")),
        (
            "BAIDU.com.",
            {"dns": {"baidu.com": "::7"}, "dns_quotes": True},
            lines("+QIDNSGIP: 0,1,0", '+QIDNSGIP: "::7"'),
        ),
        ("203.0.113.5", {}, lines("+QIDNSGIP: 0,1,0", "+QIDNSGIP: 203.0.113.5")),
        ("nothing.invalid", {}, lines("+QIDNSGIP: 565")),
        ("x.example", {"hosts": {"x.example": "unknown"}}, lines("+QIDNSGIP: 565")),
    ],
)
def test_names(name: str, options: dict[str, Any], expected: bytes) -> None:
    assert Bench(**options).say(f'AT+QIDNSGIP=0,"{name}"') == OK + expected


@pytest.mark.parametrize(
    "command",
    ['QIDNSGIP=1,"x.example"', 'QIDNSGIP=0,""', "QIDNSGIP=0,x", f'QIDNSGIP=0,"{"a" * 151}"', "QIDNSGIP=0",
     'QIDNSCFG=1', 'QIDNSCFG=0,"name"', 'QIDNSCFG=0,"1.1.1.1","x"', 'QIDNSCFG=0,"1.1.1.1","8.8.8.8","9.9.9.9"',
     f'QIDNSCFG=0,"{"1" * 65}"', 'QPING=0', 'QPING=0,""', 'QPING=0,"x",0', 'QPING=0,"x",256', 'QPING=0,"x",4,0',
     'QPING=0,"x",4,11', 'QPING=0,"x",4,4,31', 'QPING=0,"x",4,4,1501', 'QPING=0,"x",4,4,32,2', 'QPING=0,x',
     'QNTP=0', 'QNTP=0,"x",0', 'QNTP=0,"x",65536', 'QNTP=0,"x",123,2', 'QNTP=1,"x"'],
)  # fmt: skip
def test_bad_parameters_are_an_error(command: str) -> None:
    assert Bench().say(f"AT+{command}") == ERROR


def test_name_servers() -> None:
    bench = Bench(dns_servers=("1.1.1.1", "2.2.2.2", "240E:5A::6666", "240E:5B::6666"))
    assert bench.say('AT+QIDNSCFG=0,"218.2.2.2"') == OK
    assert bench.ask("AT+QIDNSCFG=0")[0] == '+QIDNSCFG: 0,"218.2.2.2","2.2.2.2","240E:5A::6666","240E:5B::6666"'
    assert bench.say('AT+QIDNSCFG=0,"2001:db8::1","8.8.8.8"') == OK
    assert bench.ask("AT+QIDNSCFG=0")[0] == '+QIDNSCFG: 0,"218.2.2.2","8.8.8.8","2001:db8::1","240E:5B::6666"'


HOST: dict[str, Any] = {"dns": {"iot.quectel.com": "47.100.63.174"}}
REPLY = "+QPING: 0,47.100.63.174,32,400,54"


@pytest.mark.parametrize(
    ("options", "tail", "expected"),
    [
        ({}, "", [REPLY] * 4 + ["+QPING: 0,4,4,0,400,400,400"]),
        ({}, ",10,2,1500,1", ["+QPING: 0,47.100.63.174,1500,400,54"] * 2 + ["+QPING: 0,2,2,0,400,400,400"]),
        ({"firmware": "A02"}, ",4,1,200", ["+QPING: 0,47.100.63.174,200,400", "+QPING: 0,1,1,0,400,400,400"]),
        ({"ping": "lossy"}, ",1,3", [REPLY, "+QPING: 569", REPLY, "+QPING: 0,3,2,1,400,400,400"]),
        ({"ping": "fail"}, ",1,2", ["+QPING: 569"] * 3),
        ({"ping": "total"}, ",1,2", ["+QPING: 569"]),
        ({"hosts": {"iot.quectel.com": "timeout"}}, ",1,1", ["+QPING: 569"] * 2),
        ({"hosts": {"iot.quectel.com": "unknown"}}, "", ["+QPING: 565"]),
        (
            {"ping_times": (0.1, 5.0)},
            ",4,2",
            ["+QPING: 0,47.100.63.174,32,100,54", "+QPING: 569", "+QPING: 0,2,1,1,100,100,100"],
        ),
    ],
)
def test_ping(options: dict[str, Any], tail: str, expected: list[str]) -> None:
    bench = Bench(latency=0.4, **HOST, **options)
    assert bench.say(f'AT+QPING=0,"iot.quectel.com"{tail}') == OK
    assert bench.run(60) == lines(*expected)


def test_ping_size_before_a03() -> None:
    bench = Bench(firmware="A02")
    assert bench.say('AT+QPING=0,"x.example",4,4,201') == ERROR
    assert bench.ask("AT+QPING=?")[0] == "+QPING: (0-11),<host>,(1-255),(1-10),(32-200),(0,1)"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, '+QNTP: 0,"19/06/11,11:08:20+32"'),
        ({"ntp_prefix": "QNTPT", "ntp_time": "long"}, '+QNTPT: 0,"2019/06/11,11:08:20+32"'),
        ({"ntp_prefix": "QNTTP", "ntp_time": "example"}, '+QNTTP: 0,"19/06/11,11:08:20:35+32"'),
        ({"time_zone": -14}, '+QNTP: 0,"19/06/10,23:38:20-14"'),
        ({"hosts": {"t.example": "timeout"}}, "+QNTP: 569"),
        ({"hosts": {"t.example": "unknown"}}, "+QNTP: 565"),
    ],
)
@pytest.mark.parametrize("command", ["QNTP", "QNTPT"])
def test_time(command: str, options: dict[str, Any], expected: str) -> None:
    bench = Bench(clock=1560222500.0, **options)
    assert bench.say(f'AT+{command}=0,"t.example"').startswith(OK)
    bench = Bench(clock=1560222500.0, **options)
    assert bench.say(f'AT+{command}=0,"t.example"') + bench.run(20) == OK + lines(expected)


@pytest.mark.parametrize(("auto", "year"), [(0, "20"), (1, "19")])
def test_time_sets_the_clock_if_asked_to(auto: int, year: str) -> None:
    bench = Bench(clock=1560222500.0)
    bench.say('AT+CCLK="20/01/01,00:00:00+32"')
    bench.say(f'AT+QNTP=0,"t.example",123,{auto}')
    assert bench.ask("AT+CCLK?")[0].startswith(f'+CCLK: "{year}/')


def test_a_time_server_of_the_host_table_is_really_asked() -> None:
    def answer(connection: ModelConnection, data: bytes) -> None:
        assert (len(data), data[0] & 7) == (48, 3)
        connection.send(bytes(40) + struct.pack("!II", 2208988800 + 1000000000, 0))

    network = ModelNetwork()
    network.serve(10123, answer)
    bench = Bench(network, hosts={"t.example": "127.0.0.1:10123"})
    assert bench.say('AT+QNTP=0,"t.example"') == OK + lines('+QNTP: 0,"01/09/09,09:46:40+32"')
    assert network.connections[0].is_finished
