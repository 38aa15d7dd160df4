"""Requests: their commands, their values and their failures."""

from __future__ import annotations

import errno
import socket
from datetime import datetime, timezone

import pytest

from nbsocket._driver import (
    ConnectionReset,
    DnsServers,
    GetClock,
    GetDnsServers,
    GetInfo,
    GetSettings,
    GetSockets,
    GetStatus,
    GetUnacked,
    ModuleInfo,
    ModuleSettings,
    NetworkStatus,
    Ping,
    PingReply,
    PingResult,
    RawCommand,
    Request,
    RequestDone,
    RequestFailed,
    RequestProgress,
    Resolve,
    SetDnsServers,
    SyncTime,
)
from tests.driver.bench import Bench, Pile
from tests.driver.responder import HEALTHY, Responder


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def ask(bench: Bench, request: Request, *turns: tuple[str, ...]) -> object:
    """Submit, play the dialogue, return the value."""
    request_id = bench.driver.submit(request, None, bench.now)
    bench.dialog(*turns)
    bench.collect()
    bench.events = [event for event in bench.events if not isinstance(event, RequestProgress)]
    done = bench.take(RequestDone)
    assert done.request_id == request_id
    return done.value


def fail(bench: Bench, request: Request, *turns: tuple[str, ...]) -> OSError:
    """The same for a failure."""
    bench.driver.submit(request, None, bench.now)
    bench.dialog(*turns)
    return bench.take(RequestFailed).error


def test_resolve(bench: Bench) -> None:
    turn = ('AT+QIDNSGIP=0,"a.example"', "OK", "+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.18.0.1")
    assert ask(bench, Resolve("a.example"), turn) == ["198.18.0.1"]


def test_resolve_with_outcome_before_ok(bench: Bench) -> None:
    turn = ('AT+QIDNSGIP=0,"a.example"', "+QIDNSGIP: 0,1,0", '+QIDNSGIP: "198.18.0.1"', "OK")
    assert ask(bench, Resolve("a.example"), turn) == ["198.18.0.1"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (["OK", "+QIDNSGIP: 565"], socket.EAI_NONAME),
        (["OK", "+QIDNSGIP: 569"], socket.EAI_AGAIN),
        (["OK", "+QIDNSGIP: 550"], socket.EAI_FAIL),
        (["OK", "+QIDNSGIP: 552"], socket.EAI_NONAME),
        (["OK", "+QIDNSGIP: 566"], socket.EAI_AGAIN),
    ],
)
def test_resolve_failures_are_gaierrors(bench: Bench, answer: list[str], code: int) -> None:
    error = fail(bench, Resolve("a.example"), ('AT+QIDNSGIP=0,"a.example"', *answer))
    assert isinstance(error, socket.gaierror) and error.args[0] == code


def test_busy_resolver_is_asked_again(bench: Bench) -> None:
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog(('AT+QIDNSGIP=0,"a.example"', "OK", "+QIDNSGIP: 564"))
    bench.advance(1.0)
    bench.dialog(('AT+QIDNSGIP=0,"a.example"', "OK", "+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.18.0.1"))
    assert bench.take(RequestDone).value == ["198.18.0.1"]


def test_late_outcome_of_a_look_up_given_up_is_not_the_next_ones(bench: Bench) -> None:
    bench.driver.submit(Resolve("slow.example"), bench.now + 5.0, bench.now)
    bench.dialog(('AT+QIDNSGIP=0,"slow.example"', "OK"))
    bench.advance(5.0)
    assert isinstance(bench.take(RequestFailed).error, socket.gaierror)
    bench.driver.submit(Resolve("next.example"), None, bench.now)
    assert bench.sent() == b"", "the module may still say something about the first"
    bench.say("+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.18.0.1")
    bench.dialog(('AT+QIDNSGIP=0,"next.example"', "OK", "+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.18.0.2"))
    assert bench.take(RequestDone).value == ["198.18.0.2"]


def test_cancelled_request_is_not_heard_of_again(bench: Bench) -> None:
    request_id = bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT+CSQ")
    bench.driver.cancel(request_id, bench.now)
    bench.say("+CSQ: 20,99", "OK")
    bench.no_events()
    assert bench.driver.is_at_rest


def test_info(bench: Bench) -> None:
    turns = (
        ("ATI", "Quectel_Ltd", "Quectel_BC260Y-CN", "Revision: BC260YCNAAR01A03", "OK"),
        ("AT+CGMR", "BC260YCNAAR01A03", "OK"),
        ("AT+CGSN=1", "+CGSN: 861234567890123", "OK"),
    )
    assert ask(bench, GetInfo(), *turns) == ModuleInfo(
        "Quectel_Ltd", "Quectel_BC260Y-CN", "BC260YCNAAR01A03", "861234567890123"
    )


def test_status(bench: Bench) -> None:
    turns = (
        ("AT+CEREG?", "+CEREG: 1,5", "OK"),
        ("AT+CSQ", "+CSQ: 20,99", "OK"),
        ("AT+CGPADDR?", '+CGPADDR: 1,"10.0.0.7"', "OK"),
    )
    assert ask(bench, GetStatus(), *turns) == NetworkStatus(True, "registered, roaming", -73, "10.0.0.7")


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (['+CGPADDR: 5,"10.177.135.245"'], "10.177.135.245"),
        (["+CGPADDR: 1,10.0.0.7"], "10.0.0.7"),
        (["+CGPADDR: 0", '+CGPADDR: 1,"10.0.0.7"'], "10.0.0.7"),
        (['+CGPADDR: 0,""', '+CGPADDR: 5,"::1","fe80::1"'], "::1"),
        (["+CGPADDR: 5"], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("is_form_known", [True, False])
def test_address_in_every_shape(bench: Bench, lines: list[str], address: str | None, is_form_known: bool) -> None:
    refused = [] if is_form_known else [("AT+CGPADDR?", "ERROR")]
    asked = "AT+CGPADDR?" if is_form_known else "AT+CGPADDR"
    turns = (("AT+CEREG?", "+CEREG: 1,1", "OK"), ("AT+CSQ", "+CSQ: 99,99", "OK"), *refused, (asked, *lines, "OK"))
    assert ask(bench, GetStatus(), *turns) == NetworkStatus(True, "registered, home network", None, address)


def test_dns_servers(bench: Bench) -> None:
    turn = ("AT+QIDNSCFG=0", '+QIDNSCFG: 0,"218.2.2.2","8.8.8.8","240E:5A::6666","240E:5B::6666"', "OK")
    assert ask(bench, GetDnsServers(), turn) == DnsServers("218.2.2.2", "8.8.8.8", "240E:5A::6666", "240E:5B::6666")
    assert ask(bench, SetDnsServers("1.1.1.1"), ('AT+QIDNSCFG=0,"1.1.1.1"', "OK")) is None


def test_ping_without_ttl(bench: Bench) -> None:
    replies = [f"+QPING: 0,47.100.63.174,32,{time}" for time in (369, 479, 484, 260)]
    turn = ('AT+QPING=0,"iot.example",20,4,32', "OK", *replies, "+QPING: 0,4,4,0,260,484,398")
    value = ask(bench, Ping("iot.example"), turn)
    assert isinstance(value, PingResult)
    assert (value.sent, value.received, value.lost) == (4, 4, 0)
    assert (value.rtt_min, value.rtt_max, value.rtt_avg) == (0.260, 0.484, 0.398)
    assert value.replies[0] == PingReply("47.100.63.174", 32, 0.369, None, 0)


def test_ping_that_fails_as_a_whole(bench: Bench) -> None:
    bench.driver.submit(Ping("iot.example", timeout=4, count=3), None, bench.now)
    bench.dialog(('AT+QPING=0,"iot.example",4,3,32', "OK", "+QPING: 569"))
    assert bench.take(RequestProgress).value == PingReply(None, None, None, None, 569)
    bench.advance(30.0)
    value = bench.take(RequestDone).value
    assert isinstance(value, PingResult)
    assert (value.sent, value.received, value.lost, value.rtt_avg) == (3, 0, 3, None)


def test_ping_replies_are_told_as_they_come(bench: Bench) -> None:
    bench.driver.submit(Ping("iot.example", timeout=4, count=2), None, bench.now)
    bench.dialog(('AT+QPING=0,"iot.example",4,2,32', "OK", "+QPING: 0,10.0.0.9,32,300,54"))
    assert bench.take(RequestProgress).value == PingReply("10.0.0.9", 32, 0.3, 54, 0)
    bench.no_events()
    bench.say("+QPING: 569")
    assert bench.take(RequestProgress).value == PingReply(None, None, None, None, 569)
    bench.say("+QPING: 0,2,1,1,300,300,300")
    value = bench.take(RequestDone).value
    assert isinstance(value, PingResult) and (value.sent, value.received, len(value.replies)) == (2, 1, 2)


@pytest.mark.parametrize("last", ["+QPING: 569", "+QPING: 569,2,0,2"])
def test_ping_with_every_loss_told_and_a_failed_summary(bench: Bench, last: str) -> None:
    turn = ('AT+QPING=0,"iot.example",4,2,32', "OK", "+QPING: 569", "+QPING: 569", last)
    value = ask(bench, Ping("iot.example", timeout=4, count=2), turn)
    assert isinstance(value, PingResult) and (value.sent, value.received, len(value.replies)) == (2, 0, 2)


@pytest.mark.parametrize("revision", ["BC260YCNAAR01A02", "BC260YCNAAR01A01"])
def test_old_firmware_takes_no_large_ping(bench: Bench, revision: str) -> None:
    error = fail(bench, Ping("iot.example", size=201), ("AT+CGMR", revision, "OK"))
    assert error.errno == errno.EINVAL and "32 to 200" in (error.strerror or "")
    assert bench.sent() == b""


def test_new_firmware_takes_a_large_ping(bench: Bench) -> None:
    bench.driver.submit(Ping("iot.example", size=1500, rai=True), None, bench.now)
    bench.dialog(("AT+CGMR", "BC260YCNAAR01A03", "OK"))
    bench.expect('AT+QPING=0,"iot.example",20,4,1500,1')


def test_ping_of_an_unknown_host_is_an_error(bench: Bench) -> None:
    error = fail(bench, Ping("no.example"), ('AT+QPING=0,"no.example",20,4,32', "OK", "+QPING: 565"))
    assert error.result == 565  # type: ignore[attr-defined]  # ours


@pytest.mark.parametrize("line", ['+QNTP: 0,"26/11/22,10:11:12+00"', '+QNTTP: 0,"2026/11/22,18:11:12:35+32"'])
def test_ntp(bench: Bench, line: str) -> None:
    value = ask(bench, SyncTime("ntp.example"), ('AT+QNTP=0,"ntp.example",123,1', "OK", line))
    assert value == datetime(2026, 11, 22, 10, 11, 12, tzinfo=timezone.utc)


def test_ntp_in_the_other_spelling(bench: Bench) -> None:
    turns = (
        ('AT+QNTP=0,"ntp.example",123,0', "ERROR"),
        ('AT+QNTPT=0,"ntp.example",123,0', "OK", '+QNTP: 0,"26/11/22,10:11:12+00"'),
    )
    assert ask(bench, SyncTime("ntp.example", set_clock=False), *turns)


def test_ntp_failure(bench: Bench) -> None:
    error = fail(bench, SyncTime("ntp.example"), ('AT+QNTP=0,"ntp.example",123,1', "OK", "+QNTP: 569"))
    assert isinstance(error, TimeoutError)


def test_clock(bench: Bench) -> None:
    turn = ("AT+CCLK?", '+CCLK: "26/11/22,10:11:12+00"', "OK")
    assert ask(bench, GetClock(), turn) == datetime(2026, 11, 22, 10, 11, 12, tzinfo=timezone.utc)


def test_sockets_says_which_are_ours(bench: Bench) -> None:
    bench.open()
    turn = (
        "AT+QISTATE?",
        '+QISTATE: 0,"TCP","10.0.0.9",80,0,2,0,1',
        '+QISTATE: 4,"UDP","10.0.0.8",81,5000,2,0,1',
        "OK",
    )
    value = ask(bench, GetSockets(), turn)
    assert isinstance(value, list)
    assert [(row.socket_id, row.service, row.is_ours) for row in value] == [(0, "TCP", True), (4, "UDP", False)]


def test_unacked(bench: Bench) -> None:
    source = Pile()
    key = bench.open(source)
    assert ask(bench, GetUnacked(key), ("AT+QISEND=0,0", "+QISEND: 94,90,4", "OK")) == 4
    assert fail(bench, GetUnacked(99)).errno == errno.EINVAL


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (GetSockets(), "AT+QISTATE?"),
        (GetSockets(context_id=0), "AT+QISTATE=0,0"),
        (GetSockets(socket_id=3), "AT+QISTATE=1,3"),
    ],
)
def test_sockets_in_every_form(bench: Bench, request_: GetSockets, line: str) -> None:
    value = ask(bench, request_, (line, '+QISTATE: 3,"UDP","10.0.0.8",81,5000,2,0,1', "OK"))
    assert isinstance(value, list) and value[0].socket_id == 3


def test_settings(bench: Bench) -> None:
    turns = (
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,0', "OK"),
        ("AT+QSCLK?", "+QSCLK: 0", "OK"),
        ("AT+IPR?", "+IPR: 115200", "OK"),
        ("AT+CPSMS?", '+CPSMS: 1,,,"01000001","00000000"', "OK"),
    )
    assert ask(bench, GetSettings(), *turns) == ModuleSettings("hex", "text", 0, 115200, 115200, saves_power=True)


def test_settings_that_the_firmware_does_not_tell(bench: Bench) -> None:
    turns = (
        ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
        ("AT+QSCLK?", "ERROR"),
        ("AT+IPR?", "ERROR"),
        ("AT+CPSMS?", "ERROR"),
    )
    assert ask(bench, GetSettings(), *turns) == ModuleSettings("hex", "hex", None, 115200, None)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('AT+QIDNSGIP=0,"a.example"', ["+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.18.0.1"]),
        ('AT+QDNSGIP=0,"a.example"', ["+QIDNSGIP: 565"]),
        ('AT+QPING=0,"a.example",4,1', ["+QPING: 0,10.0.0.9,32,300,54", "+QPING: 0,1,1,0,300,300,300"]),
        ('AT+QPING=0,"a.example"', ["+QPING: 565"]),
        ('AT+QNTP=0,"a.example"', ['+QNTP: 0,"26/11/22,10:11:12+32"']),
        ("AT+QICLOSE=4", ["CLOSE OK"]),
        ('AT+QIOPEN=0,4,"TCP","10.0.0.9",80', ["+QIOPEN: 4,0"]),
        ("AT+CSQ", []),
    ],
)
def test_raw_command_with_its_outcome(bench: Bench, text: str, lines: list[str]) -> None:
    bench.driver.submit(RawCommand(text, wants_outcome=True), None, bench.now)
    bench.dialog((text, "OK", *lines))
    assert [bench.take(RequestProgress).value for _ in ["OK", *lines]] == ["OK", *lines]
    assert bench.take(RequestDone).value == lines


def test_raw_command_leaves_the_outcomes_of_others_alone(bench: Bench) -> None:
    bench.driver.submit(RawCommand("AT+QICLOSE=4", wants_outcome=True), None, bench.now)
    bench.dialog(("AT+QICLOSE=4", "OK"))
    looked_up = bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.dialog(('AT+QIDNSGIP=0,"a.example"', "OK", "+QIDNSGIP: 0,1,0", "+QIDNSGIP: 198.18.0.1"))
    bench.take(RequestProgress)
    assert bench.take(RequestDone) == RequestDone(looked_up, ["198.18.0.1"])
    bench.say("CLOSE OK")
    assert bench.take(RequestProgress).value == "CLOSE OK"


def test_raw_command_waits_for_its_turn(bench: Bench) -> None:
    """Two outcomes of one kind could not be told apart."""
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    bench.driver.submit(RawCommand('AT+QIDNSGIP=0,"b.example"', wants_outcome=True), None, bench.now)
    bench.dialog(('AT+QIDNSGIP=0,"a.example"', "OK", "+QIDNSGIP: 565"))
    bench.expect('AT+QIDNSGIP=0,"b.example"')


def test_socket_of_a_raw_command_is_left_alone_until_it_is_closed(bench: Bench) -> None:
    text = 'AT+QIOPEN=0,0,"TCP","10.0.0.9",80'
    assert ask(bench, RawCommand(text), (text, "OK")) == []
    bench.say("+QIOPEN: 0,0")
    bench.say('+QIURC: "recv",0,2,"4142"')
    assert bench.sent() == b""
    assert bench.logs[-1].endswith("""'+QIURC: "recv",0,2,"4142"'""")
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.expect('AT+QIOPEN=0,1,"TCP","10.0.0.9",81')
    bench.say("OK", "+QIOPEN: 1,0")
    bench.events.clear()
    assert ask(bench, RawCommand("AT+QICLOSE=0"), ("AT+QICLOSE=0", "OK")) == []
    assert 0 in bench.driver._core.connections.ids.claimed, "until CLOSE OK"
    bench.say("CLOSE OK")
    assert 0 not in bench.driver._core.connections.ids.claimed


def test_socket_of_a_raw_command_is_the_users_still_when_it_is_opened_again(bench: Bench) -> None:
    text = 'AT+QIOPEN=0,0,"TCP","10.0.0.9",80'
    assert ask(bench, RawCommand(text), (text, "OK")) == []
    bench.say("+QIOPEN: 0,0")
    bench.driver.submit(RawCommand(text), None, bench.now)
    bench.dialog((text, "+CME ERROR: 563"))
    assert isinstance(bench.take(RequestFailed).error, OSError)
    assert 0 in bench.driver._core.connections.ids.claimed


def test_opening_waits_for_the_outcome_of_a_raw_one(bench: Bench) -> None:
    """The module may refuse an opening while it is at another one."""
    text = 'AT+QIOPEN=0,4,"TCP","10.0.0.9",80'
    assert ask(bench, RawCommand(text), (text, "OK")) == []
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.driver.submit(Resolve("a.example"), None, bench.now)
    assert bench.sent() == b""
    bench.say("+QIOPEN: 4,566")
    bench.dialog(('AT+QIOPEN=0,0,"TCP","10.0.0.9",81', "OK", "+QIOPEN: 0,0"))
    bench.expect('AT+QIDNSGIP=0,"a.example"')


def test_opening_does_not_wait_for_ever_for_the_outcome_of_a_raw_one(bench: Bench) -> None:
    text = 'AT+QIOPEN=0,4,"TCP","10.0.0.9",80'
    assert ask(bench, RawCommand(text), (text, "OK")) == []
    bench.driver.open("TCP", "10.0.0.9", 81, 0, Pile(), bench.now)
    bench.advance(64.0)
    assert bench.sent() == b""
    bench.advance(2.0)
    bench.expect('AT+QIOPEN=0,0,"TCP","10.0.0.9",81')
    assert bench.driver._core.connections.ids.claims_opening == {}


def test_raw_send_in_data_mode(bench: Bench) -> None:
    bench.driver.submit(RawCommand("AT+QISEND=4", b"hello"), None, bench.now)
    bench.expect("AT+QISEND=4")
    bench.feed(b"\r\n> ")
    assert bench.sent() == b"hello\x1a"
    bench.say("OK", "SEND OK")
    assert bench.take(RequestDone).value == []


def test_raw_command(bench: Bench) -> None:
    assert ask(bench, RawCommand("AT+CSQ"), ("AT+CSQ", "+CSQ: 20,99", "OK")) == ["+CSQ: 20,99"]
    error = fail(bench, RawCommand("AT+NOPE"), ("AT+NOPE", "+CME ERROR: 100"))
    assert error.command == "AT+NOPE" and error.result == 100  # type: ignore[attr-defined]  # ours


def test_request_without_answer_fails_and_the_next_one_works(bench: Bench) -> None:
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    bench.expect("AT+CSQ")
    bench.advance(5.1)
    assert isinstance(bench.take(RequestFailed).error, TimeoutError)
    bench.expect("AT")
    bench.say("OK")
    bench.driver.submit(RawCommand("AT+CSQ"), None, bench.now)
    # A late answer to the first: the OK alone proves nothing, only the answer to the marker does.
    bench.expect('AT+QICFG="dataformat"')
    bench.say("OK")
    bench.say('+QICFG: "dataformat",1,1', "OK")
    bench.dialog(("AT+CSQ", "+CSQ: 21,99", "OK"))
    assert bench.take(RequestDone).value == ["+CSQ: 21,99"]


@pytest.mark.parametrize(
    ("command", "is_contained"),
    [
        ('AT+QICFG="dataformat",1,1', True),
        ('at+qicfg = "dataformat", 0, 1', True),
        ('AT+QICFG="dataformat",1,0', False),
        ('AT+QICFG="dataformat",1', False),
        ('AT+QICFG="dataformat",1,1;+CFUN=1', False),
        ("ATZ", False),
    ],
)
def test_users_own_format_is_known_where_the_command_tells_it(bench: Bench, command: str, is_contained: bool) -> None:
    """Hurt hex digits are one connection's; hurt text may have held what others were sent."""
    hurt, other = bench.open(), bench.open(port=81)
    bench.driver.submit(RawCommand(command), None, bench.now)
    bench.dialog((command, "OK"))
    bench.take(RequestDone)
    bench.feed(b'\r\n+QIURC: "recv",0,4,"0102\xff304"\r\n')
    assert bench.take(ConnectionReset).key == hurt
    if not is_contained:
        assert bench.take(ConnectionReset).key == other
    bench.no_events()


@pytest.mark.parametrize("ignored", ["AT+CEREG?", "AT+CSQ", "AT+CGPADDR?"])
def test_status_is_asked_for_again_where_a_command_was_ignored(ignored: str) -> None:
    """Some modules ignore what comes within a second of an answer. Simulation seed 16032693."""
    module = Responder(Bench())
    assert module.open(5.0)
    answers = iter([("",)])
    healthy = HEALTHY[ignored]
    module.answers[ignored] = lambda: next(answers, healthy)
    module.bench.driver.submit(GetStatus(), None, module.bench.now)
    module.run(10.0)
    done = next(event for event in module.bench.events if isinstance(event, RequestDone))
    assert done.value == NetworkStatus(True, "registered, home network", -73, "10.1.2.3")
