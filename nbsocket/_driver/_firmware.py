"""What is known of the modem's firmware: how its model takes commands, and what this one was found to lack."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nbsocket._at import Command, FinalResult
from nbsocket._models import BC260Y, PROFILES, Profile, profile_for

__all__ = ["LACKING_RESULTS", "Firmware"]

#: Errors that say that the firmware lacks a command: operation not supported, unknown (TS 27.007 §9.2), and operation
#: not supported by BC260Y-CN TCP/IP guide 1.1 §3.
LACKING_RESULTS = frozenset({4, 100, 555})


class Firmware:
    """Learnt once: another bring-up asks only for what is not known yet."""

    def __init__(self, model: str) -> None:
        """Begin with the profile of that name; with ``"auto"`` it is chosen by the answer to ATI."""
        self.profile: Profile = PROFILES.get(model, BC260Y)
        #: ATI need not be asked: the model is given, or was told.
        self.is_known = model in PROFILES
        self._is_given = self.is_known
        #: Lines of ATI.
        self._identity: tuple[str, ...] = ()
        #: Command lines that the firmware was found to lack: they are not asked again.
        self.lacking: set[str] = set()

    def ask_again(self) -> None:
        """Another modem may be at the port."""
        self.is_known = self._is_given

    def identify(self, lines: Iterable[str]) -> bool:
        """Take the answer to ATI; return whether it is new and names none of the models: BC260Y-CN is assumed then."""
        identity = tuple(lines)
        profile = profile_for(identity)
        is_strange = profile is None and identity != self._identity
        if self._identity and identity != self._identity:
            self.lacking.clear()
        self._identity, self.is_known = identity, True
        self.profile = profile or BC260Y
        return is_strange

    def lacks(self, command: Command[Any]) -> bool:
        """Whether that was found out before."""
        return command.line in self.lacking

    def note(self, answer: FinalResult, is_settled: bool = False) -> None:
        """Note what an error tells; ``is_settled``: a bare ERROR has no other reason, such as a missing network."""
        if not answer.ok and (answer.code in LACKING_RESULTS or (answer.code is None and is_settled)):
            self.lacking.add(answer.command.line)
