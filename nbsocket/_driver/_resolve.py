"""The request behind every look-up: a name, and the addresses that the modem finds for it.

Only 565 says that the name is unknown. A modem that is busy, that has just lost its network or not got its address
yet, or that has ignored the command, says nothing of the name: it is asked again for a while, and then the answer is
"not now" (EAI_AGAIN).
"""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from socket import gaierror
from typing import ClassVar, NamedTuple

from nbsocket._at import QIDNSGIP, DnsAddress, DnsResult, FinalResult
from nbsocket._dataclass import dataclass
from nbsocket._driver._answers import TIMED_OUT
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._opening import CHECKED_TRIES, NETWORK_RESULTS
from nbsocket._driver._requests import OUTCOME_TIMEOUT, Plain, RequestContext, carried_out
from nbsocket._driver._script import Await, Pause, Steps, Unanswered
from nbsocket._errors import RESULT_CODES, gaierror_from_result

__all__ = ["Resolve"]

#: Results that say "not now" to a look-up; so do a bare ERROR and numbers that the modem's own table does not have.
RETRIED_RESULTS = NETWORK_RESULTS | {551, 564, 568}
#: Seconds after which it is tried again, and for which it is at the most.
PAUSES = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0)
RETRY_TIME = sum(PAUSES)

#: Seconds within which the addresses follow the first line of an outcome.
ADDRESS_TIMEOUT = 5.0

#: Questions beyond the fewest that can settle a doubtful answer: a name whose address changes with every answer is not
#: settled by asking, but by waiting until nothing is owed.
MORE_QUESTIONS = 2

#: Results about the name itself.
NAME_RESULTS = (552, 565)


class _Answer(NamedTuple):
    """What one outcome said, or that there was none."""

    #: 0, a result code, or another error's number; None: a bare ERROR.
    result: int | None
    addresses: tuple[str, ...] = ()
    #: It is the command's own answer: certainly meant for this look-up.
    is_refusal: bool = False

    @property
    def is_last_word(self) -> bool:
        """Asking again would not change it."""
        return self.result in RESULT_CODES and self.result not in RETRIED_RESULTS

    @property
    def may_lack_network(self) -> bool:
        """It is what modems answer without a network."""
        return self.result not in RESULT_CODES or self.result in NETWORK_RESULTS


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

    def steps(self, context: RequestContext) -> Steps[list[str]]:
        late = context.late_outcomes("dns")
        given: Counter[_Answer] = Counter()
        arrivals = late.arrivals
        while True:
            answer = yield from self._patient_answer(context, late)
            if answer.is_refusal or not answer.is_last_word:
                raise self._failure(answer.result, context)
            if late.arrivals != arrivals:
                # With what came went the reason to doubt the answers before it: one of them may be another name's.
                arrivals = late.arrivals
                given.clear()
            given[answer] += 1
            if given[answer] > late.count(besides=self.name):
                break
            if given.total() > late.count(besides=self.name) + MORE_QUESTIONS:
                yield from self._wait_for_late(late)
                given.clear()
        if answer.result or not answer.addresses:
            raise self._failure(answer.result or TIMED_OUT, context)
        return list(answer.addresses)

    def _failure(self, result: int | None, context: RequestContext) -> gaierror:
        trouble = None if result in NAME_RESULTS else context.network_trouble
        return gaierror_from_result(result, self.name, context.firmware.profile.resolve(self.name).line, trouble)

    def _patient_answer(self, context: RequestContext, late: LateOutcomes) -> Steps[_Answer]:
        """Ask until the answer says something of the name."""
        waited = 0.0
        tries = -1
        while True:
            tries += 1
            try:
                answer = yield from self._ask(context, late)
            except Unanswered as error:
                waited += error.command.timeout
                if waited >= RETRY_TIME:
                    raise
                continue  # that was pause enough
            pause = PAUSES[min(tries, len(PAUSES) - 1)]
            waited += pause
            if answer.is_last_word or waited > RETRY_TIME:
                return answer
            if tries in CHECKED_TRIES and answer.may_lack_network:
                context.check_network()
            # What comes meanwhile is the outcome of a command that was refused and carried out all the same.
            result: DnsResult | None = yield Pause(pause, (DnsResult,) if late else ())
            if result is not None:
                is_own = not late.count(besides=self.name)
                late.came()
                answer = yield from self._read(result)
                if is_own and answer.is_last_word:
                    return answer

    def _ask(self, context: RequestContext, late: LateOutcomes) -> Steps[_Answer]:
        answer: FinalResult = yield from carried_out(
            context.firmware.profile.resolve(self.name), late, self.name, OUTCOME_TIMEOUT
        )
        if not answer.ok:
            return _Answer(answer.code, is_refusal=True)
        late.asked(self.name)
        result: DnsResult | None = yield Await((DnsResult,), OUTCOME_TIMEOUT)
        if result is None:
            late.owe(self.name, OUTCOME_TIMEOUT)
            return _Answer(TIMED_OUT, is_refusal=True)
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
