"""What lets the module into the network, line by line: PIN, access point, credentials, name servers."""

from __future__ import annotations

import errno

import pytest

from nbsocket._driver import RequestFailed, Settings, SimPin, WaitAttached
from tests.driver.bench import Bench
from tests.driver.responder import Answer, Responder

PIN = 'AT+CPIN="1234"'
CPINR, QPINC = 'AT+CPINR="SIM PIN"', "AT+QPINC?"
READY: tuple[str, ...] = ("+CPIN: READY", "OK")
WANTED: tuple[str, ...] = ("+CPIN: SIM PIN", "OK")


class Card:
    """A SIM card that wants its PIN, in a module on the bench."""

    def __init__(self, right: str = "1234", answers: dict[str, Answer] | None = None) -> None:
        self.is_open = False
        self.right = right
        settings = Settings(baudrate=115200, attach_timeout=60.0, pin=SimPin("1234"))
        self.module = Responder(
            Bench(settings),
            {
                "AT+CPIN?": lambda: READY if self.is_open else WANTED,
                "AT+CEREG?": lambda: ("+CEREG: 1,1", "OK") if self.is_open else ("+CEREG: 1,0", "OK"),
                "AT+CGPADDR?": lambda: ('+CGPADDR: 5,"10.1.2.3"', "OK") if self.is_open else ("+CGPADDR: 0", "OK"),
                PIN: self.enter,
                CPINR: ('+CPINR: "SIM PIN",3,3', '+CPINR: "SIM PUK",10,10', "OK"),
                **(answers or {}),
            },
        )

    def enter(self) -> tuple[str, ...]:
        self.is_open = self.right == "1234"
        return ("OK",) if self.is_open else ("+CME ERROR: 16",)

    def times(self, line: str) -> int:
        return self.module.lines.count(line)

    def trouble(self) -> str | None:
        return self.module.bench.driver._core.attachment.trouble


@pytest.mark.parametrize(
    ("attempts", "is_also_asked"),
    [
        (("+CPINR: SIM PIN,3,3", "OK"), False),
        (('+CPINR: "SIM PUK",1', '+CPINR: "SIM PIN",2', "OK"), False),
        (("ERROR",), True),
        (("+CME ERROR: 4",), True),
        (("+CPINR: x,y", "OK"), True),
    ],
)
def test_pin_is_entered_where_the_card_wants_it(attempts: tuple[str, ...], is_also_asked: bool) -> None:
    """The attempts left are asked for by AT+CPINR (TS 27.007 §8.65), else as siblings of the module tell them."""
    card = Card(answers={CPINR: attempts, QPINC: ('+QPINC: "SC",3,10', '+QPINC: "P2",3,10', "OK")})
    assert card.module.open(30.0)
    assert card.times(PIN) == 1 and card.times(QPINC) == is_also_asked


def test_pin_is_entered_where_no_attempts_are_told() -> None:
    card = Card(answers={CPINR: ("ERROR",), QPINC: ("ERROR",)})
    assert card.module.open(30.0)
    assert card.times(PIN) == 1


@pytest.mark.parametrize(
    ("cpinr", "qpinc"),
    [
        (("",), ("ERROR",)),
        (("OK",), ("ERROR",)),
        (('+CPINR: "SIM PIN",?', "OK"), ("ERROR",)),
        (("ERROR",), ('+QPINC: "SC",?', "OK")),
        (('+CPINR: "SIM PIN",?', "OK"), ('+QPINC: "SC",?', "OK")),
    ],
)
def test_pin_is_not_tried_where_the_module_does_not_say_whether_it_knows_the_attempts(
    cpinr: tuple[str, ...], qpinc: tuple[str, ...]
) -> None:
    """The one that it takes may be the last. An OK alone is no answer to a question that has one of its own."""
    card = Card(answers={CPINR: cpinr, QPINC: qpinc})
    assert not card.module.open(50.0)
    assert card.times(PIN) == 0
    assert "how many attempts are left is not told" in str(card.trouble())


def test_pin_is_entered_where_the_first_question_stays_unanswered() -> None:
    answers = iter([("",)])
    card = Card(answers={CPINR: lambda: next(answers, ('+CPINR: "SIM PIN",3,3', "OK"))})
    assert card.module.open(60.0)
    assert card.times(PIN) == 1


@pytest.mark.parametrize(
    ("cpinr", "qpinc"),
    [
        (('+CPINR: "SIM PIN",1,3', "OK"), ("ERROR",)),
        (('+CPINR: "SIM PIN",0,3', "OK"), ("ERROR",)),
        (("ERROR",), ('+QPINC: "SC",1,10', "OK")),
        (('+CPINR: "SIM PIN",?', "OK"), ('+QPINC: "SC",1,10', "OK")),
    ],
)
def test_last_attempt_is_never_used(cpinr: tuple[str, ...], qpinc: tuple[str, ...]) -> None:
    card = Card(answers={CPINR: cpinr, QPINC: qpinc})
    assert not card.module.open(55.0)
    assert card.times(PIN) == 0
    assert "only one attempt is left: it was not tried" in str(card.trouble())


def test_refused_pin_is_not_tried_again_whatever_restarts_come() -> None:
    card = Card(right="4321")
    assert not card.module.open(20.0)
    assert card.times(PIN) == 1
    assert "refused" in str(card.trouble()) and "1234" not in str(card.trouble())
    card.module.say("RDY", "+CFUN: 1")
    assert not card.module.run(40.0, lambda: card.module.bench.driver.is_ready)
    assert card.module.lines.count("AT+CMEE?") == 2, "it was not brought up again"
    assert card.times(PIN) == 1


def test_refusal_tells_the_attempts_that_are_left() -> None:
    card = Card(right="4321")
    assert not card.module.open(30.0)
    assert "refused the one that was given (attempts left: 2)" in str(card.trouble())


@pytest.mark.parametrize("is_taken", [True, False])
def test_pin_whose_answer_is_lost_counts_as_tried(is_taken: bool) -> None:
    card = Card()

    def enter() -> tuple[str, ...]:
        card.is_open = is_taken
        return ("",)

    card.module.answers[PIN] = enter
    assert card.module.open(60.0) == is_taken
    assert card.times(PIN) == 1


def test_no_pin_is_entered_that_was_not_given() -> None:
    card = Card()
    module = Responder(Bench(Settings(baudrate=115200)), card.module.answers)
    assert not module.open(30.0)
    assert not any(line.startswith("AT+CPIN=") for line in module.lines)
    assert CPINR not in module.lines


# -- access point


def test_kind_of_addresses_alone_keeps_the_access_point() -> None:
    module = Responder(Bench(Settings(baudrate=115200, pdp_type="IPV4V6")))
    assert module.open(20.0)
    assert 'AT+CGDCONT=1,"IPV4V6","iot"' in module.lines


@pytest.mark.parametrize("row", ['+CGDCONT: 1,"IPV4V6","iot"', '+CGDCONT: 1,ipv4v6,iot,"10.0.0.1",0,0'])
def test_kind_that_the_module_has_is_not_written(row: str) -> None:
    module = Responder(Bench(Settings(baudrate=115200, pdp_type="IPV4V6")), {"AT+CGDCONT?": (row, "OK")})
    assert module.open(20.0)
    assert not any(line.startswith("AT+CGDCONT=") for line in module.lines)


@pytest.mark.parametrize("answer", [("ERROR",), ("+CME ERROR: 3",), ("+CGDCONT: ?", "OK")])
def test_kind_alone_where_the_access_point_is_not_told_is_an_error(answer: tuple[str, ...]) -> None:
    """Written with an empty access point, it would take away the one that the module has."""
    module = Responder(Bench(Settings(baudrate=115200, pdp_type="IPV6")), {"AT+CGDCONT?": answer})
    module.bench.driver.submit(WaitAttached(), None, module.bench.now)
    assert not module.open(60.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert failed.error.errno == errno.EIO and "pdp_type needs apn as well" in str(failed.error)
    assert not any(line.startswith("AT+CGDCONT=") for line in module.lines)


def test_kind_with_an_access_point_is_written_where_none_is_told() -> None:
    module = Responder(Bench(Settings(baudrate=115200, pdp_type="IPV6", apn="iot")), {"AT+CGDCONT?": ("ERROR",)})
    assert module.open(60.0)
    assert 'AT+CGDCONT=1,"IPV6","iot"' in module.lines


@pytest.mark.parametrize(
    ("answer", "is_written"),
    [
        (('+CGAUTH: 1,1,"me","geheim"', "OK"), False),
        (('+CGAUTH: 1,1,"me","other"', "OK"), True),
        (('+CGAUTH: 2,1,"me","geheim"', "OK"), True),
        (("+CGAUTH: 1,0", "OK"), True),
        (("OK",), True),
        (("ERROR",), True),
    ],
)
def test_credentials_are_written_where_they_differ(answer: tuple[str, ...], is_written: bool) -> None:
    settings = Settings(baudrate=115200, apn_user="me", apn_password="geheim")
    module = Responder(Bench(settings), {"AT+CGAUTH?": answer})
    assert module.open(30.0)
    assert module.lines.count('AT+CGAUTH=1,1,"me","geheim"') == is_written


def test_refused_credentials_end_the_bring_up_without_telling_them() -> None:
    settings = Settings(baudrate=115200, apn_user="me", apn_password="geheim")
    module = Responder(Bench(settings), {'AT+CGAUTH=1,1,"me","geheim"': ("+CME ERROR: 50",)})
    module.bench.driver.submit(WaitAttached(), None, module.bench.now)
    assert not module.open(30.0)
    failed = next(event for event in module.bench.events if isinstance(event, RequestFailed))
    assert "50" in str(failed.error) and "geheim" not in f"{failed.error}{module.bench.logs}"


# -- name servers

SERVERS = Settings(baudrate=115200, dns=("192.0.2.1", "192.0.2.2"))
SET, ASK = 'AT+QIDNSCFG=0,"192.0.2.1","192.0.2.2"', "AT+QIDNSCFG=0"


def name_servers(first: str, second: str) -> tuple[str, ...]:
    return f"+QIDNSCFG: 0,{first},{second}", "OK"


@pytest.fixture(params=["quoted", "bare"])
def told(request: pytest.FixtureRequest) -> str:
    return '"{}"' if request.param == "quoted" else "{}"


def test_servers_that_the_module_has_are_not_written(told: str) -> None:
    answer = name_servers(told.format("192.0.2.1"), told.format("192.0.2.2"))
    module = Responder(Bench(SERVERS), {ASK: answer})
    assert module.open(20.0)
    assert ASK in module.lines and SET not in module.lines


def test_other_servers_are_written_once_there_is_an_address(told: str) -> None:
    answer = name_servers(told.format("9.9.9.9"), told.format("192.0.2.2"))
    module = Responder(Bench(SERVERS), {ASK: answer})
    assert module.open(20.0)
    assert module.lines[-2:] == [ASK, SET]
    assert module.lines.index("AT+CGPADDR?") < module.lines.index(SET)
    assert module.bench.logs == ["network: registered, home network, address 10.1.2.3"]


@pytest.mark.parametrize("refusal", ["ERROR", "+CME ERROR: 551", "+CME ERROR: 564", "+CME ERROR: 568"])
def test_busy_module_is_given_them_again(refusal: str) -> None:
    refusals = iter([refusal, refusal])
    module = Responder(Bench(SERVERS), {ASK: ("ERROR",), SET: lambda: (next(refusals, "OK"),)})
    assert module.open(20.0)
    assert module.lines.count(SET) == 3
    assert not any("name servers" in line for line in module.bench.logs)


@pytest.mark.parametrize(("refusal", "times"), [("+CME ERROR: 50", 1), ("ERROR", 4)])
def test_refused_servers_are_told_and_the_network_is_used(refusal: str, times: int) -> None:
    module = Responder(Bench(SERVERS), {ASK: name_servers("9.9.9.9", "8.8.8.8"), SET: (refusal,)})
    assert module.open(30.0)
    assert module.lines.count(SET) == times
    (line,) = (line for line in module.bench.logs if "name servers" in line)
    assert line.startswith("the name servers are not set: ") and "QIDNSCFG" in line


def test_servers_whose_setting_is_not_answered_are_told() -> None:
    module = Responder(Bench(SERVERS), {ASK: name_servers("9.9.9.9", "8.8.8.8"), SET: ("",)})
    assert module.open(120.0)
    assert any(line.startswith("the name servers are not set: the module did not answer") for line in module.bench.logs)
