"""What other models than BC260Y-CN answer otherwise, each form as a dialogue; tests/transcripts has more of each."""

from __future__ import annotations

from typing import Any

import pytest

from nbsocket.sim import Options
from tests.sim.bench import ERROR, OK, SENT, Bench, lines

SERVERS = ("8.8.8.8", "", "", "")


def bench_of(model: str, **options: Any) -> Bench:
    """A module of this model that knows a name server."""
    options.setdefault("dns_servers", SERVERS)
    return Bench(model=model, **options)


@pytest.mark.parametrize(
    ("model", "ati", "cgmr"),
    [
        ("bc260y", ["Quectel_Ltd", "Quectel_BC260Y-CN", "Revision: BC260YCNAAR01A03"], "BC260YCNAAR01A03"),
        ("bc660k", ["Quectel_Ltd", "Quectel_BC660K-GL", "Revision: BC660KGLAAR01A03"], "Revision: BC660KGLAAR01A03"),
        ("bc66", ["Quectel_Ltd", "Quectel_BC66", "Revision: BC66NBR01A03"], "Revision: BC66NBR01A03"),
    ],
)
def test_identity(model: str, ati: list[str], cgmr: str) -> None:
    bench = bench_of(model)
    assert bench.ask("ATI") == [*ati, "OK"]
    assert bench.ask("AT+CGMR") == [cgmr, "OK"]
    assert bench.ask("AT+CGMM") == [ati[1], "OK"]
    assert bench.ask("AT+CGMI")[0] == "Quectel_Ltd"


@pytest.mark.parametrize(
    ("model", "context", "others"),
    [("bc260y", 0, (1, 11, 12)), ("bc660k", 0, (1, 11, 12)), ("bc66", 1, (0, 2, 3, 4))],
)
def test_only_one_context_works(model: str, context: int, others: tuple[int, ...]) -> None:
    bench = bench_of(model)
    assert bench.say(f'AT+QIOPEN={context},0,"TCP","h",80,0,1') == OK + lines("+QIOPEN: 0,0")
    for other in others:
        assert bench.say(f'AT+QIOPEN={other},1,"TCP","h",80,0,1') == ERROR
        assert bench.say(f'AT+QIDNSGIP={other},"h"') == ERROR
        assert bench.say(f'AT+QPING={other},"h"') == ERROR
        assert bench.say(f"AT+QIDNSCFG={other}") == ERROR
        assert bench.say(f"AT+QISTATE=0,{other}") == ERROR


@pytest.mark.parametrize(("model", "row"), [("bc660k", "0,1"), ("bc66", "1,1")])
def test_state_rows_tell_context_and_access_mode(model: str, row: str) -> None:
    bench = bench_of(model)
    bench.open()
    assert bench.ask("AT+QISTATE?")[0] == f'+QISTATE: 0,"TCP","hf.quectel.com",2020,0,2,{row}'


@pytest.mark.parametrize(
    ("model", "view", "report"),
    [
        ("bc660k", 0, b'\r\n+QIURC: "recv",0,3,"00afff"\r\n'),
        ("bc660k", 1, b'\r\n+QIURC: "recv",0,3\r\n"00afff"\r\n'),
        ("bc66", 0, b'\r\n+QIURC: "recv",0,3\r\n00afff\r\n'),
        ("bc66", 1, b'\r\n+QIURC: "recv",0,3,00afff\r\n'),
    ],
)
def test_view_mode(model: str, view: int, report: bytes) -> None:
    bench = bench_of(model, receive_format="hex")
    assert bench.ask('AT+QICFG="viewmode"') == ['+QICFG: "viewmode",0', "OK"]
    bench.open()
    assert bench.say(f'AT+QICFG="viewmode",{view}') == OK
    bench.network.connections[0].send(b"\x00\xaf\xff")
    assert bench.read() == report


def test_view_mode_is_stored() -> None:
    bench = bench_of("bc66", echo=True, stores_echo=True)
    bench.say("ATE0")
    bench.say('AT+QICFG="viewmode",1')
    bench.module.restart(bench.now)
    bench.run(10)
    assert bench.ask('AT+QICFG="viewmode"') == ['+QICFG: "viewmode",1', "OK"]


@pytest.mark.parametrize("name", ["viewmode", "showlength"])
def test_bc260y_has_no_such_setting(name: str) -> None:
    assert bench_of("bc260y").say(f'AT+QICFG="{name}"') == ERROR


def test_settings_of_the_test_command() -> None:
    assert bench_of("bc66").ask("AT+QICFG=?") == [
        '+QICFG: "dataformat",(0,1),(0,1)',
        '+QICFG: "viewmode",(0,1)',
        '+QICFG: "showlength",(0,1)',
        "OK",
    ]


@pytest.mark.parametrize("model", ["bc660k", "bc66"])
def test_text_with_line_ends_on_a_line_of_its_own_is_raw(model: str) -> None:
    bench = bench_of(model)
    bench.open()
    bench.say(f'AT+QICFG="viewmode",{1 if model == "bc660k" else 0}')
    bench.network.connections[0].send(b'a\r\n"OK\r\n')
    quote = b'"' if model == "bc660k" else b""
    assert bench.read() == b'\r\n+QIURC: "recv",0,8\r\n' + quote + b'a\r\n"OK\r\n' + quote + b"\r\n"


@pytest.mark.parametrize(("model", "largest"), [("bc260y", 1024), ("bc660k", 1400), ("bc66", 1440)])
def test_size_of_a_report(model: str, largest: int) -> None:
    bench = bench_of(model)
    bench.open()
    bench.network.connections[0].send(b"x" * (largest + 1))
    output = bench.read()
    assert b'"recv",0,%d' % largest in output
    assert b'"recv",0,1' in output


@pytest.mark.parametrize(("model", "largest"), [("bc260y", 1024), ("bc660k", 1358), ("bc66", 1440)])
def test_size_of_a_text_send(model: str, largest: int) -> None:
    bench = bench_of(model)
    bench.open()
    assert bench.say(f"AT+QISEND=0,{largest + 1}") == ERROR
    assert bench.say(f"AT+QISEND=0,{largest}") == b"\r\n> "
    assert bench.write(b"x" * largest) == SENT
    assert bench.network.connections[0].messages == [b"x" * largest]


@pytest.mark.parametrize("model", ["bc260y", "bc660k", "bc66"])
def test_size_of_a_hex_send(model: str) -> None:
    bench = bench_of(model, send_format="hex")
    bench.open()
    assert bench.say('AT+QISEND=0,512,"' + "ab" * 512 + '"') == SENT
    assert bench.say('AT+QISEND=0,513,"' + "ab" * 513 + '"') == ERROR


def test_without_an_access_mode_bc66_keeps_data_until_they_are_fetched() -> None:
    bench = bench_of("bc66")
    bench.say('AT+QIOPEN=1,0,"TCP","h",80')
    peer = bench.network.connections[0]
    peer.send(b"abc")
    assert bench.read() == lines('+QIURC: "recv",0')
    peer.send(b"def")
    assert bench.read() == b""
    assert bench.say("AT+QIRD=0,4") == b"\r\n+QIRD: 4\r\nabcd\r\n" + OK
    assert bench.say("AT+QIRD=0,100") == b"\r\n+QIRD: 2\r\nef\r\n" + OK
    assert bench.say("AT+QIRD=0,100") == lines("+QIRD: 0") + OK
    peer.send(b"g")
    assert bench.read() == lines('+QIURC: "recv",0')


def test_data_that_nobody_fetches_make_the_peer_wait() -> None:
    bench = bench_of("bc66")
    bench.say('AT+QIOPEN=1,0,"TCP","h",80')
    peer, size = bench.network.connections[0], 0
    for _ in range(40):
        peer.send(b"x" * 1440)
        bench.read()
    assert not peer.is_receiving
    while (answer := bench.say("AT+QIRD=0,1440")) != lines("+QIRD: 0") + OK:
        size += answer.count(b"x")
    assert size == 40 * 1440


def test_show_length() -> None:
    bench = bench_of("bc66")
    bench.say('AT+QICFG="showlength",1')
    bench.say('AT+QIOPEN=1,0,"TCP","h",80')
    bench.network.connections[0].send(b"abc")
    assert bench.read() == lines('+QIURC: "recv",0,3')
    assert bench.say("AT+QIRD=0,2") == b"\r\n+QIRD: 2,1\r\nab\r\n" + OK


def test_access_mode_can_be_changed() -> None:
    bench = bench_of("bc66")
    bench.say('AT+QIOPEN=1,0,"TCP","h",80')
    assert bench.say("AT+QISWTMD=0,1") == OK
    bench.network.connections[0].send(b"abc")
    assert bench.read() == b'\r\n+QIURC: "recv",0,3\r\nabc\r\n'


def test_bc660k_pushes_without_an_access_mode() -> None:
    bench = bench_of("bc660k")
    bench.say('AT+QIOPEN=0,0,"TCP","h",80')
    bench.network.connections[0].send(b"abc")
    assert bench.read() == b'\r\n+QIURC: "recv",0,3,"abc"\r\n'


@pytest.mark.parametrize("digits", ["616263", '"616263"'])
def test_send_of_hex_digits(digits: str) -> None:
    bench = bench_of("bc66")
    bench.open()
    assert bench.say(f"AT+QISENDEX=0,3,{digits}") == SENT
    assert bench.network.connections[0].messages == [b"abc"]


@pytest.mark.parametrize("tail", ["0,3,6162", "0,3,61626g", "5,1,61", "1,1,61", "0", "0,0,"])
def test_bad_send_of_hex_digits(tail: str) -> None:
    bench = bench_of("bc66")
    bench.open()
    assert bench.say(f"AT+QISENDEX={tail}") == ERROR
    assert bench.network.connections[0].messages == []


@pytest.mark.parametrize(
    ("model", "command"),
    [
        *(("bc260y", command) for command in ("AT+QISENDEX=0,1,61", "AT+QIRD=0,1", "AT+QISWTMD=0,1")),
        ("bc660k", "AT+QISENDEX=0,1,61"),
    ],
)
def test_commands_that_a_model_lacks(model: str, command: str) -> None:
    bench = bench_of(model)
    bench.open()
    assert bench.say(command) == ERROR


@pytest.mark.parametrize(
    ("model", "head", "quote"), [("bc660k", "+QIDNSGIP: ", ""), ("bc66", '+QIURC: "dnsgip",', '"')]
)
def test_resolve(model: str, head: str, quote: str) -> None:
    bench = bench_of(model, dns={"a.example": "192.0.2.7"}, hosts={"b.example": "unknown"})
    context = bench.module.model.context_id
    answer = OK + lines(f"{head}0,1,0", f"{head}{quote}192.0.2.7{quote}")
    assert bench.say(f'AT+QIDNSGIP={context},"a.example"') == answer
    assert bench.say(f'AT+QIDNSGIP={context},"b.example"') == OK + lines(f"{head}565")


def test_name_servers_of_bc66() -> None:
    bench = bench_of("bc66", dns_servers=("1.1.1.1", "2.2.2.2", "", ""))
    assert bench.ask("AT+QIDNSCFG=1") == ['+QIDNSCFG: 1,"1.1.1.1","2.2.2.2"', "OK"]


def test_bc660k_knows_no_name_until_a_server_is_set_and_forgets_it_at_a_boot() -> None:
    bench = Bench(model="bc660k", dns={"a.example": "192.0.2.7"})
    unknown = OK + lines("+QIDNSGIP: 565")
    assert bench.ask("AT+QIDNSCFG=0") == ['+QIDNSCFG: 0,"","","",""', "OK"]
    assert bench.say('AT+QIDNSGIP=0,"a.example"') == unknown
    assert bench.say('AT+QIOPEN=0,0,"TCP","a.example",80') == OK + lines("+QIOPEN: 0,565")
    assert bench.say('AT+QIOPEN=0,1,"TCP","192.0.2.7",80') == OK + lines("+QIOPEN: 1,0")
    assert bench.say('AT+QIDNSCFG=0,"8.8.8.8"') == OK
    assert bench.say('AT+QIDNSGIP=0,"a.example"') == OK + lines("+QIDNSGIP: 0,1,0", "+QIDNSGIP: 192.0.2.7")
    bench.module.restart(bench.now)
    bench.run(10)
    assert bench.say('AT+QIDNSGIP=0,"a.example"') == unknown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ["0,192.0.2.7,32,100,54", "0,192.0.2.7,32,100,54", "2,2,2,0,100,100,100"]),
        ({"ping": "lossy"}, ["0,192.0.2.7,32,100,54", "1", "2,2,1,1,100,100,100"]),
        ({"ping": "fail"}, ["1", "1", "2,2,0,2,0,0,0"]),
        ({"ping": "total"}, ["1"]),
    ],
)
def test_ping_codes_of_bc66(options: dict[str, Any], said: list[str]) -> None:
    bench = bench_of("bc66", ping_times=(0.1,), **options)
    output = bench.say('AT+QPING=1,"192.0.2.7",1,2') + bench.run(10)
    assert output == OK + lines(*(f"+QPING: {text}" for text in said))


def test_size_of_a_ping_of_bc66() -> None:
    bench = bench_of("bc66")
    assert bench.say('AT+QPING=1,"192.0.2.7",1,1,201') == ERROR
    assert bench.say('AT+QPING=1,"192.0.2.7",1,1,200').startswith(OK)


def test_ping_of_bc660k_is_as_that_of_bc260y() -> None:
    bench = bench_of("bc660k", ping="lossy", ping_times=(0.1,))
    output = bench.say('AT+QPING=0,"192.0.2.7",1,2') + bench.run(10)
    assert output == OK + lines("+QPING: 0,192.0.2.7,32,100,54", "+QPING: 569", "+QPING: 0,2,1,1,100,100,100")


def test_bc660k_saves_power_from_the_factory_and_stores_settings() -> None:
    bench = bench_of("bc660k", echo=True)
    assert bench.ask("AT+CPSMS?")[1].startswith("+CPSMS: 1,")
    for command in ("ATE0", "AT+CMEE=1", "AT+CEREG=5"):
        bench.say(command)
    bench.module.restart(bench.now)
    bench.run(10)
    assert bench.ask("AT+CMEE?") == ["+CMEE: 1", "OK"]
    assert bench.ask("AT+CEREG?")[0].startswith("+CEREG: 5,1")


@pytest.mark.parametrize("model", ["bc660k", "bc66"])
def test_rates(model: str) -> None:
    bench = bench_of(model)
    assert bench.ask("AT+IPR=?") == ["+IPR: (2400,4800,9600,19200,38400,57600,115200,230400,460800)", "OK"]
    assert bench.say("AT+IPR=14400") == ERROR
    assert bench.say("AT+IPR=9600") == OK


@pytest.mark.parametrize(("model", "cid"), [("bc260y", 5), ("bc660k", 0), ("bc66", 1)])
def test_context_of_the_address(model: str, cid: int) -> None:
    assert bench_of(model).ask("AT+CGPADDR") == [f'+CGPADDR: {cid},"10.18.237.42"', "OK"]


@pytest.mark.parametrize("model", ["bc660k", "bc66"])
def test_closing_twice(model: str) -> None:
    bench = bench_of(model)
    bench.open()
    assert bench.say("AT+QICLOSE=0") + bench.run(3) == OK + lines("CLOSE OK")
    assert bench.say("AT+QICLOSE=0") == ERROR


def test_the_peers_close_comes_behind_data_that_are_kept() -> None:
    bench = bench_of("bc66")
    bench.say('AT+QIOPEN=1,0,"TCP","h",80')
    bench.network.connections[0].send(b"abc")
    bench.network.connections[0].close()
    assert bench.run(1) == lines('+QIURC: "recv",0', '+QIURC: "closed",0')
    assert bench.say("AT+QIRD=0,100") == b"\r\n+QIRD: 3\r\nabc\r\n" + OK


@pytest.mark.parametrize(
    ("model", "command", "form"),
    [
        ("bc66", "QIOPEN", '(1-3),(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,(0,1)'),
        ("bc660k", "QISEND", "(0-4),(0-1358),<data>,<rai_mode>"),
        ("bc66", "QISENDEX", "(0-4),(1-512),<hex_string>"),
        ("bc66", "QIRD", "(0-4),(1-1440)"),
        ("bc66", "QISWTMD", "(0-4),(0,1)"),
        ("bc66", "QIDNSGIP", "(1-3),<hostname>"),
        ("bc66", "QPING", "(1-3),<host>,(1-255),(1-10),(32-200),(0,1)"),
        ("bc66", "QNTP", "(1-3),<server>,<port>,(0,1)"),
    ],
)
def test_test_forms(model: str, command: str, form: str) -> None:
    assert bench_of(model).ask(f"AT+{command}=?") == [f"+{command}: {form}", "OK"]


def test_defaults_of_a_model_stand_behind_what_is_given() -> None:
    assert Options().psm is False
    assert Options(model="bc660k").psm is True
    assert Options(model="bc660k", psm=False).psm is False
    assert Options.from_url("sim://?model=bc660k").stores_settings
    assert not Options.from_url("sim://?model=bc660k&stores_settings=no").stores_settings
    assert Options(model="bc66").cgpaddr_cid == 1


def test_unknown_model() -> None:
    with pytest.raises(ValueError, match="'model' must be one of bc260y, bc660k, bc66, not 'bc95'"):
        Options(model="bc95")
