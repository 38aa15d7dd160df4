"""The request behind every look-up: a name, and the addresses that the module finds for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar, NamedTuple

from nbsocket._at import QIDNSGIP, DnsAddress, DnsResult, FinalResult
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._requests import OUTCOME_TIMEOUT, Plain, Surroundings, carried_out
from nbsocket._driver._script import Await, Pause, Steps
from nbsocket._errors import gaierror_from_result

__all__ = ["Resolve"]

#: Results that say "not now" to a look-up, and the seconds after which it is tried again.
PASSING_RESULTS = (564, 568)
PAUSES = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0)

#: Seconds within which the addresses follow the first line of an outcome.
ADDRESS_TIMEOUT = 5.0

#: Questions beyond the fewest that can settle a doubtful answer: a name whose address changes with every answer is not
#: settled by asking, but by waiting until nothing is owed.
MORE_QUESTIONS = 2

#: "Not now", for an outcome that is no address.
TIMED_OUT = 569


class _Answer(NamedTuple):
    """What one outcome said."""

    #: 0, or a result code.
    result: int
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolve(Plain):
    """Gives the addresses of ``name``: list[str]. Fails with gaierror. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.6.

    An outcome names no name. While outcomes of other look-ups may still come (see ``_late``), it asks until one answer
    was given more often than outcomes are owed.
    """

    name: str
    needs_network: ClassVar[bool] = True
    turn: ClassVar[str | None] = "dns"
    listens: ClassVar[tuple[type, ...]] = (DnsResult, DnsAddress)
    waits_for_late: ClassVar[bool] = False

    def __post_init__(self) -> None:
        QIDNSGIP(self.name)  # refuses at the call what must not reach the wire

    def steps(self, surroundings: Surroundings) -> Steps[list[str]]:
        late = surroundings.late_outcomes("dns")
        given: Counter[_Answer] = Counter()
        while True:
            answer = yield from self._patient_answer(late)
            given[answer] += 1
            if given[answer] > late.count(besides=self.name):
                break
            if given.total() > late.count(besides=self.name) + MORE_QUESTIONS:
                yield from self._wait_for_late(late)
                given.clear()
        if answer.result:
            raise gaierror_from_result(answer.result, self.name, QIDNSGIP(self.name).line)
        if not answer.addresses:
            raise gaierror_from_result(TIMED_OUT, self.name, QIDNSGIP(self.name).line)
        return list(answer.addresses)

    def _patient_answer(self, late: LateOutcomes) -> Steps[_Answer]:
        answer = yield from self._ask(late)
        for seconds in PAUSES:
            if answer.result not in PASSING_RESULTS:
                break
            yield Pause(seconds)
            answer = yield from self._ask(late)
        return answer

    def _ask(self, late: LateOutcomes) -> Steps[_Answer]:
        command = QIDNSGIP(self.name)
        answer: FinalResult = yield from carried_out(command, late, self.name, OUTCOME_TIMEOUT)
        if not answer.ok:
            if answer.code in PASSING_RESULTS:
                return _Answer(answer.code or 0)
            raise gaierror_from_result(answer.code, self.name, command.line)
        late.asked(self.name)
        result: DnsResult | None = yield Await((DnsResult,), OUTCOME_TIMEOUT)
        if result is None:
            late.owe(self.name, OUTCOME_TIMEOUT)
            raise gaierror_from_result(TIMED_OUT, self.name, command.line)
        return (yield from self._read(result))

    def _read(self, result: DnsResult) -> Steps[_Answer]:
        """Read the rest of an outcome: what is no address is left out."""
        if result.result:
            return _Answer(result.result)
        addresses: list[str] = []
        for _ in range(result.count or 1):
            line: DnsAddress | None = yield Await((DnsAddress,), ADDRESS_TIMEOUT)
            if line is None:
                break
            address = _plain_address(line.address)
            if address is not None:
                addresses.append(address)
        return _Answer(0, tuple(addresses))

    def _wait_for_late(self, late: LateOutcomes) -> Steps[None]:
        """Wait until what is owed has come, or can come no more."""
        while late:
            result: DnsResult | None = yield Await((DnsResult,), late.seconds_left)
            if result is None:
                late.clear()
                return
            yield from self._read(result)
            late.came()


def _plain_address(text: str) -> str | None:
    """An address as ``ipaddress`` writes it; None for what is none. Zones are the host's own, no module's."""
    try:
        return None if "%" in text else str(ip_address(text.strip()))
    except ValueError:
        return None
