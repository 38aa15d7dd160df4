"""The two ways a conversation can go wrong: we broke the rules (Local), or the modem did (Remote)."""

from __future__ import annotations

__all__ = ["LocalProtocolError", "ProtocolError", "RemoteProtocolError"]


class ProtocolError(Exception):
    """Base class of the codec's errors; never leaves a socket method."""


class LocalProtocolError(ProtocolError):
    """The caller did what the state does not allow, such as a second command while one is pending."""


class RemoteProtocolError(ProtocolError):
    """The modem's answer does not have the form that the manual gives it."""
