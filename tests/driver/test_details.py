"""Everything that the module tells of itself: the dialogue, what is made of it, and what is not asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nbsocket._driver import RequestDone, RequestFailed
from nbsocket._driver._detail_values import DiscontinuousReception, ModuleDetails, PowerSaving
from nbsocket._driver._details import GetDetails
from tests.driver.bench import Bench
from tests.driver.responder import Responder

Turn = tuple[str, ...]

#: A firmware that tells everything.
TURNS: list[Turn] = [
    ("ATI", "Quectel_Ltd", "Quectel_BC260Y-CN", "Revision: BC260YCNAAR01A03", "OK"),
    ("AT+CGMR", "BC260YCNAAR01A03", "OK"),
    ("AT+CGSN=1", "+CGSN: 861234567890123", "OK"),
    ("AT+CPIN?", "+CPIN: READY", "OK"),
    ("AT+CEREG?", '+CEREG: 5,1,"DE10","069AF001",9,,,"00100010","00100110"', "OK"),
    ("AT+CGPADDR?", '+CGPADDR: 5,"10.0.0.7"', "OK"),
    ("AT+QCCID", "+QCCID: 89860400000000000001", "OK"),
    ("AT+CIMI", "460040000000001", "OK"),
    ("AT+COPS?", '+COPS: 0,2,"46004",9', "OK"),
    ("AT+CSQ", "+CSQ: 30,99", "OK"),
    ("AT+QENG=0", '+QENG: 0,2504,2,21,"069AF001",-62,-11,-52,3,5,"DE10",0,0,3', "OK"),
    ("AT+CESQ", "+CESQ: 99,99,255,255,20,80", "OK"),
    ("AT+QBAND?", "+QBAND: 3,3,5,8", "OK"),
    ("AT+CSCON?", "+CSCON: 0,1", "OK"),
    ("AT+CGDCONT?", '+CGDCONT: 1,"IP","cmnbiot",,0,0', "OK"),
    ("AT+QIDNSCFG=0", '+QIDNSCFG: 0,"218.2.2.2","8.8.8.8","",""', "OK"),
    ("AT+CPSMS?", '+CPSMS: 1,,,"01000001","00011110"', "OK"),
    ("AT+CEDRXS?", '+CEDRXS: 5,"0101"', "OK"),
    ("AT+CEDRXRDP", '+CEDRXRDP: 5,"0101","0011","0011"', "OK"),
    ("AT+CBC", "+CBC: 0,0,3600", "OK"),
    ('AT+QICFG="dataformat"', '+QICFG: "dataformat",1,1', "OK"),
    ("AT+QSCLK?", "+QSCLK: 0", "OK"),
    ("AT+IPR?", "+IPR: 0", "OK"),
]

TOLD = ModuleDetails(
    manufacturer="Quectel_Ltd",
    model="Quectel_BC260Y-CN",
    revision="BC260YCNAAR01A03",
    imei="861234567890123",
    sim="ready",
    iccid="89860400000000000001",
    imsi="460040000000001",
    registered=True,
    registration="registered, home network",
    reject_cause=None,
    operator="46004",
    rssi=-53,
    rsrp=-62,
    rsrq=-11.0,
    sinr=3,
    ecl=0,
    band=5,
    bands=(3, 5, 8),
    earfcn=2504,
    pci=21,
    cell="069AF001",
    tac="DE10",
    radio_connected=True,
    address="10.0.0.7",
    apn="cmnbiot",
    pdp_type="IP",
    dns=("218.2.2.2", "8.8.8.8"),
    psm=PowerSaving(True, 60.0, 36000.0, True, 120.0, 21600.0),
    edrx=DiscontinuousReception(True, 81.92, True, 40.96, 10.24),
    voltage=3.6,
    send_format="hex",
    receive_format="hex",
    sleep_mode=0,
    baudrate=115200,
    stored_baudrate=0,
    corrected=(),
    lacking_commands=(),
)

#: What the manual of TCP/IP and bring-up rely on: no firmware lacks it.
KNOWN_TO_ALL = ("ATI", "AT+CGMR", "AT+CGSN=1", "AT+CPIN?", "AT+CEREG?", "AT+CGPADDR?", 'AT+QICFG="dataformat"')


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.start()
    return bench


def changed(**lines: str | Turn) -> list[Turn]:
    """The dialogue with other answers, by name of the command; a word stands for the final result alone."""
    names = {"".join(filter(str.isalnum, turn[0].removeprefix("AT+"))): turn[0] for turn in TURNS}
    others = {names[name]: (line,) if isinstance(line, str) else line for name, line in lines.items()}
    return [(turn[0], *others.get(turn[0], turn[1:])) for turn in TURNS]


def ask(bench: Bench, turns: list[Turn]) -> ModuleDetails:
    bench.driver.submit(GetDetails(), None, bench.now)
    bench.dialog(*turns)
    value = bench.take(RequestDone).value
    assert isinstance(value, ModuleDetails)
    return value


def told(bench: Bench, **lines: str | Turn) -> ModuleDetails:
    return ask(bench, changed(**lines))


def test_everything_that_is_told(bench: Bench) -> None:
    assert ask(bench, TURNS) == TOLD
    assert ask(bench, TURNS) == TOLD, "it is asked again: much of it changes"


@pytest.mark.parametrize("refusal", ["+CME ERROR: 100", "+CME ERROR: 4", "+CME ERROR: 555", "ERROR"])
def test_firmware_that_lacks_everything_is_asked_once(bench: Bench, refusal: str) -> None:
    lacking = [turn if turn[0] in KNOWN_TO_ALL else (turn[0], refusal) for turn in TURNS]
    value = ask(bench, lacking)
    assert (value.registered, value.address, value.imei) == (True, "10.0.0.7", "861234567890123")
    for name in ("iccid", "imsi", "operator", "rssi", "rsrp", "sinr", "band", "apn", "dns", "psm", "edrx", "voltage"):
        assert getattr(value, name) is None, name
    known = [turn for turn in TURNS if turn[0] in KNOWN_TO_ALL]
    assert value.lacking_commands == tuple(sorted(turn[0] for turn in TURNS if turn not in known))
    assert ask(bench, known) == value


@pytest.mark.parametrize("refusal", ["+CME ERROR: 3", "+CME ERROR: 14", "+CME ERROR: 30", "+CME ERROR: 568"])
def test_not_now_is_no_lack(bench: Bench, refusal: str) -> None:
    assert told(bench, CIMI=refusal, QENG0=refusal).imsi is None
    assert ask(bench, TURNS) == TOLD


def test_bare_error_without_a_network_is_no_lack(bench: Bench) -> None:
    turns = changed(
        CEREG=("+CEREG: 0,2", "OK"), CGPADDR=("+CGPADDR: 5", "OK"), COPS="ERROR", QENG0="ERROR", CESQ="ERROR",
        CEDRXRDP="ERROR", CSQ=("+CSQ: 99,99", "OK"),
    )  # fmt: skip
    turns = [turn for turn in turns if turn[0] != "AT+QIDNSCFG=0"]
    value = ask(bench, turns)
    assert (value.registered, value.registration) == (False, "not registered, searching")
    assert (value.operator, value.rssi, value.rsrp, value.band, value.dns) == (None, None, None, None, None)
    assert ask(bench, TURNS) == TOLD


@pytest.mark.parametrize(
    ("answer", "sim", "words"),
    [
        (("+CPIN: SIM PIN", "OK"), "pin", "the SIM card wants its PIN (not registered, not searching)"),
        (("+CPIN: SIM PUK", "OK"), "puk", "the SIM card is blocked and wants its PUK (not registered, not searching)"),
        (("+CPIN: SIM PIN2", "OK"), "pin2", "the SIM card wants its PIN2 (not registered, not searching)"),
        (("+CPIN: NOT READY", "OK"), "not ready", "the SIM card is not ready (not registered, not searching)"),
        (("+CME ERROR: 10",), "missing", "no SIM card is inserted (not registered, not searching)"),
        (("+CME ERROR: SIM not inserted",), "missing", "no SIM card is inserted (not registered, not searching)"),
        (("+CME ERROR: 13",), "failure", "the SIM card does not work (not registered, not searching)"),
        (("+CME ERROR: 14",), "busy", "the SIM card is busy (not registered, not searching)"),
        (("ERROR",), None, "not registered, not searching"),
    ],
)
def test_sim_card(bench: Bench, answer: Turn, sim: str | None, words: str) -> None:
    turns = changed(CPIN=answer, CEREG=("+CEREG: 0,0", "OK"), CGPADDR=("+CGPADDR: 5", "OK"), CIMI="+CME ERROR: 11")
    value = ask(bench, [turn for turn in turns if turn[0] != "AT+QIDNSCFG=0"])
    assert (value.sim, value.registration, value.registered, value.imsi) == (sim, words, False, None)


def test_cause_of_a_refusal_in_words(bench: Bench) -> None:
    turns = changed(CEREG=("+CEREG: 3,3,,,,0,11", "OK"), CGPADDR=("+CGPADDR: 5", "OK"))
    value = ask(bench, [turn for turn in turns if turn[0] != "AT+QIDNSCFG=0"])
    assert value.registration == "registration denied, cause 11: this operator's network is not allowed"
    assert (value.reject_cause, value.registered, value.sim) == (11, False, "ready")


def test_signal_by_what_the_firmware_knows(bench: Bench) -> None:
    value = told(bench, QENG0="+CME ERROR: 100")
    assert (value.rsrp, value.rsrq, value.sinr, value.rssi, value.cell) == (-61, -10.0, None, -53, "069AF001")
    without = [turn for turn in changed(CESQ="+CME ERROR: 100") if turn[0] != "AT+QENG=0"]
    value = ask(bench, without)
    assert (value.rsrp, value.rsrq, value.rssi) == (None, None, -53)


@pytest.mark.parametrize(
    ("saving", "registration", "value"),
    [
        ('1,,,"01000001","00000101"', "1,1", PowerSaving(True, 10.0, 36000.0, None, None, None)),
        ('1,,,"01000001","00000101"', '4,1,"1","2",9', PowerSaving(True, 10.0, 36000.0, False, None, None)),
        (
            "1,,,01000001,00000101",
            "5,5,1,2,9,,,11100000,11100000",
            PowerSaving(True, 10.0, 36000.0, False, None, None),
        ),
        ("0", '4,1,"1","2",9,,,"00000001","00100110"', PowerSaving(False, None, None, True, 2.0, 21600.0)),
    ],
)
def test_power_saving(bench: Bench, saving: str, registration: str, value: PowerSaving) -> None:
    details = told(bench, CPSMS=(f"+CPSMS: {saving}", "OK"), CEREG=(f"+CEREG: {registration}", "OK"))
    assert details.psm == value


@pytest.mark.parametrize(
    ("asked", "granted", "value"),
    [
        (("+CEDRXS: 0", "OK"), ("+CEDRXRDP: 0", "OK"), DiscontinuousReception(False, None, False, None, None)),
        (('+CEDRXS: 0,5,"0000"', "OK"), ("OK",), DiscontinuousReception(False, None, None, None, None)),
        (('+CEDRXS: 5,"0000"', "OK"), ("+CEDRXRDP: 0", "OK"), DiscontinuousReception(False, None, False, None, None)),
        (('+CEDRXS: 2,5,"1001"', "OK"), ("ERROR",), DiscontinuousReception(True, 163.84, None, None, None)),
        (
            ("ERROR",),
            ("+CEDRXRDP: 5,0010,0101,0000", "OK"),
            DiscontinuousReception(True, None, True, 81.92, 2.56),
        ),
        (("ERROR",), ("ERROR",), None),
    ],
)
def test_discontinuous_reception(
    bench: Bench, asked: Turn, granted: Turn, value: DiscontinuousReception | None
) -> None:
    assert told(bench, CEDRXS=asked, CEDRXRDP=granted).edrx == value


def test_identity_without_its_commands(bench: Bench) -> None:
    value = told(bench, CGMR="ERROR", CGSN1="ERROR")
    assert (value.model, value.revision, value.imei) == ("Quectel_BC260Y-CN", "BC260YCNAAR01A03", None)


def test_other_form_of_the_address(bench: Bench) -> None:
    turns = changed(CGPADDR="+CME ERROR: 4")
    place = next(index for index, turn in enumerate(turns) if turn[0] == "AT+CGPADDR?")
    turns.insert(place + 1, ("AT+CGPADDR", "+CGPADDR: 1,10.0.0.8", "OK"))
    assert ask(bench, turns).address == "10.0.0.8"


def test_damaged_answer_is_asked_for_once_more(bench: Bench) -> None:
    place = next(index for index, turn in enumerate(TURNS) if turn[0] == "AT+CEREG?")
    turns = [*TURNS[:place], ("AT+CEREG?", "+CEREG: 5,\xff", "OK"), *TURNS[place:]]
    assert ask(bench, turns) == TOLD
    turns = [*TURNS[:place], ("AT+CEREG?", "OK"), *TURNS[place:]]
    assert ask(bench, turns) == TOLD


def answer_but(bench: Bench, silent: set[str]) -> Any:
    """Answer every command by TURNS, but leave these unanswered; give how the request ends."""
    answers = {turn[0]: turn[1:] for turn in TURNS} | {"AT": ("OK",)}
    bench.driver.submit(GetDetails(), None, bench.now)
    for _ in range(200):
        line = bench.sent().decode().rstrip("\r")
        if line and line not in silent:
            bench.say(*answers[line])
        elif bench.events:
            return bench.events.pop(0)
        else:
            bench.advance(0.5)
    raise AssertionError("it never ends")


def test_command_that_is_never_answered_tells_nothing(bench: Bench) -> None:
    done = answer_but(bench, {"AT+CBC"})
    assert isinstance(done, RequestDone) and isinstance(done.value, ModuleDetails)
    assert (done.value.voltage, done.value.stored_baudrate) == (None, 0)


def test_module_that_falls_silent_is_not_waited_for_twenty_times(bench: Bench) -> None:
    before = bench.now
    done = answer_but(bench, {turn[0] for turn in TURNS[6:]} - {'AT+QICFG="dataformat"'})
    assert isinstance(done, RequestFailed) and bench.now < before + 60.0


def test_nothing_is_changed(bench: Bench) -> None:
    """No question sets anything: of the set forms only those that read."""
    reading = {"AT+CGSN=1", "AT+QENG=0", "AT+QIDNSCFG=0", 'AT+QICFG="dataformat"'}
    assert [turn[0] for turn in TURNS if "=" in turn[0] and turn[0] not in reading] == []


def test_what_an_earlier_program_left_and_was_put_right_is_told() -> None:
    def told(by: str, before: str, after: str) -> Callable[[], tuple[str, ...]]:
        return lambda: (after if by in module.lines else before, "OK")

    bench = Bench()
    module = Responder(bench, echoes=lambda line: "ATE0" not in module.lines)
    module.answers["AT+CMEE?"] = told("AT+CMEE=1", "+CMEE: 2", "+CMEE: 1")
    module.answers["AT+CFUN?"] = told("AT+CFUN=1", "+CFUN: 4", "+CFUN: 1")
    form = '+QICFG: "dataformat",'
    module.answers['AT+QICFG="dataformat"'] = told('AT+QICFG="dataformat",1,1', f"{form}1,0", f"{form}1,1")
    assert module.open(20.0)
    corrected = (
        "commands were echoed (ATE1)",
        "errors had no numbers (AT+CMEE=2)",
        'the data format was another (AT+QICFG="dataformat",1,0)',
        "the radio was off (AT+CFUN=4)",
    )
    assert f"put right: {', '.join(corrected)}" in bench.logs
    for line in ("ATI", "AT+CGMR", "AT+CGSN=1"):
        module.answers[line] = (f"{line} told", "OK")
    bench.driver.submit(GetDetails(), None, bench.now)
    module.run(300.0)
    done = next(event for event in bench.events if isinstance(event, RequestDone))
    assert isinstance(done.value, ModuleDetails) and done.value.corrected == corrected
    assert "put right" not in "".join(bench.logs[bench.logs.index(f"put right: {', '.join(corrected)}") + 1 :])
