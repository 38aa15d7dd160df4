"""Does the simulation see what it is there for? Break the driver in memory, and see that it does."""

from __future__ import annotations

from collections.abc import Iterable
from socket import EAI_NONAME
from typing import Any

import pytest

from nbsocket import _errors
from nbsocket._at import CommandTimeout, FinalResult
from nbsocket._at._framing import Framer
from nbsocket._driver import DataReceived, _resolve, _segments
from nbsocket._driver._closing import Closing, Verifying
from nbsocket._driver._connection import Connection
from nbsocket._driver._connections import Connections
from nbsocket._driver._dispatch import Dispatch
from nbsocket._driver._late import LateOutcomes
from nbsocket._driver._listener import Listener
from nbsocket._driver._lookout import Lookout
from nbsocket._driver._open import Open
from nbsocket._driver._segment import Segment
from nbsocket._driver._segments import Segments
from nbsocket._driver._transitions import Transitions
from tests.simulation.runner import run_seed

#: Seeds within which a breakage must show.
MOST_SEEDS = 1000


def first_failure(kinds: set[str], seen_at: int) -> int:
    """The first seed that fails, which must be in one of these ways.

    The seed that failed when the test was written goes first: minutes are saved while the schedules stay the same.
    """
    seeds: Iterable[int] = (seen_at, *range(MOST_SEEDS))
    for seed in seeds:
        for _, kind, sentence in run_seed(seed).failures:
            assert kind in kinds, sentence
            return seed
    pytest.fail(f"not seen in {MOST_SEEDS} seeds")


@pytest.mark.timeout(300)
def test_segment_lost_on_send_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = Segments._answered

    def lose(self: Segments, link: Connection, segment: Segment, result: FinalResult | None, now: float) -> None:
        if result is not None and not result.ok and isinstance(link.phase, Open):
            link.drop_segment()
        else:
            answered(self, link, segment, result, now)

    monkeypatch.setattr(Segments, "_answered", lose)
    assert first_failure({"up", "gap", "lost", "eof"}, seen_at=16) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_segment_sent_again_without_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def send_blindly(self: Segments, link: Connection, now: float) -> Dispatch | None:
        segment = link.segment
        assert segment is not None
        segment.look_at = max(segment.look_at, segment.retry_at)  # as often as it would be otherwise
        if now < segment.look_at:
            return None
        self.cleared = link
        return self.resend()

    monkeypatch.setattr(Segments, "look", send_blindly)
    assert first_failure({"up", "datagram", "gap", "isolation"}, seen_at=8) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_late_outcome_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count says for 20 s what it said before, and is believed at once."""
    monkeypatch.setattr(_segments, "LATE_OUTCOME", 0.0)
    assert first_failure({"up", "datagram", "gap", "isolation"}, seen_at=86) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_data_delivered_after_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    received = Connections.received

    def deliver(self: Connections, socket_id: int, data: bytes, now: float) -> None:
        link = self.table.by_id(socket_id)
        if link is not None and isinstance(link.phase, Closing) and self.table.get(link.key) is link:
            self.shared.emit(DataReceived(link.key, data))
        else:
            received(self, socket_id, data, now)

    monkeypatch.setattr(Connections, "received", deliver)
    assert first_failure({"order"}, seen_at=34) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_data_after_closed_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    received = Connections.received

    def drop(self: Connections, socket_id: int, data: bytes, now: float) -> None:
        link = self.table.by_id(socket_id)
        if link is None or not link.has_closed:
            received(self, socket_id, data, now)

    monkeypatch.setattr(Connections, "received", drop)
    assert first_failure({"eof"}, seen_at=20) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_end_of_file_without_a_look_at_what_was_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    def believe(self: Verifying, now: float) -> None:
        if now >= self._look_at:
            self.decide(is_clean=True)

    monkeypatch.setattr(Verifying, "next_command", believe)
    assert first_failure({"eof"}, seen_at=71) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_signs_of_a_loss_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    def ignore(self: Lookout, why: str, now: float, may_be_restart: bool = False) -> bool:
        return bool(self._table.open_socket_ids)

    monkeypatch.setattr(Lookout, "suspect", ignore)
    assert first_failure({"untold"}, seen_at=289) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_id_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Transitions.gone

    def forget(self: Transitions, link: Connection, now: float) -> None:
        closing = link.phase
        gone(self, link, now)
        if isinstance(closing, Closing) and closing.tries > 1 and link.socket_id is not None:
            self.ids.free.remove(link.socket_id)

    monkeypatch.setattr(Transitions, "gone", forget)
    assert first_failure({"leak", "dead", "isolation", "hang"}, seen_at=1) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_answer_matched_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def go_on(self: Listener, event: CommandTimeout, now: float) -> None:
        dispatch, self._core.pending = self._core.pending, None
        self._core.chat.reset()
        if dispatch is not None:
            dispatch.finish(None, now)

    monkeypatch.setattr(Listener, "_on_timeout", go_on)
    kinds = {"up", "answer", "gap", "isolation", "leak", "order", "eof", "dead", "lost"}
    assert first_failure(kinds, seen_at=12) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_late_look_up_mistaken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LateOutcomes, "owe", lambda self, subject, seconds: None)
    assert first_failure({"answer"}, seen_at=90) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_refused_look_up_taken_for_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_errors, "_GAI_CODES", dict.fromkeys((None, *range(600)), EAI_NONAME))
    assert first_failure({"answer"}, seen_at=52) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_refused_look_up_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_resolve, "RETRY_TIME", 0.0)
    assert first_failure({"lost"}, seen_at=514) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_line_read_inside_a_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Framer._read_text

    def read_line(self: Framer, quotes: int, available: int) -> Any:
        end = self._buffer.find(b"\r\n", self._position)
        if 0 < end - self._position - 2 * quotes < self._size:
            self._size = end - self._position - 2 * quotes
        return read_text(self, quotes, available)

    monkeypatch.setattr(Framer, "_read_text", read_line)
    assert first_failure({"down", "gap", "lost", "eof", "isolation", "datagram", "dead"}, seen_at=5) < MOST_SEEDS


@pytest.mark.timeout(300)
def test_damage_to_one_connection_resets_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = Connections.damaged

    def spread(self: Connections, socket_id: int | None, is_contained: bool, reason: str) -> None:
        damaged(self, socket_id, False, reason)

    monkeypatch.setattr(Connections, "damaged", spread)
    assert first_failure({"isolation"}, seen_at=294) < MOST_SEEDS
