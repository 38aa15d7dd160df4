"""What text may stand between the quotes of an AT parameter: the one rule, applied where a call is made.

Everything that a program can put on the wire as text (hosts, name servers, access point names) passes here before a
request or a command exists. Nothing that does may end the parameter or the command, or be more than the module takes.
"""

from __future__ import annotations

import re

__all__ = ["MAX_HOST_SIZE", "check_host", "check_parameter"]

#: Longest host, name and server in bytes. Source: BC260Y-CN TCP/IP guide 1.1 §2.3.2, §2.3.6, §2.3.8, §2.3.9.
MAX_HOST_SIZE = 150

# Printable ASCII without the quote, and without the backslash: §4.2.4 shows the module taking \" as an escape, so a
# name that ends in a backslash would swallow its own closing quote.
_PARAMETER_RE = re.compile(r"[ !#-\[\]-~]*")

# No name or address has a blank, comma or semicolon; a module that looks for them before it looks at quotes would
# split the command there.
_HOST_RE = re.compile(r"[!#-+\--:<-\[\]-~]*")


def check_parameter(text: str, what: str = "text", limit: int = MAX_HOST_SIZE) -> str:
    """Return ``text`` when it may stand between quotes; it may be empty.

    Args:
        text: what the program gave.
        what: its name in the program's call, for the message.
        limit: most bytes that the module takes there.
    Raises:
        TypeError: not a str.
        ValueError: it holds a quote, a backslash, a control character or anything outside ASCII, or is too long.
    """
    plain = _checked(text, what, _PARAMETER_RE, "quotes and backslashes")
    if len(plain) > limit:
        raise ValueError(f"{what} must have at most {limit} bytes, not {len(plain)}: {plain[:40]!r}...")
    return plain


def check_host(text: str, what: str = "host", limit: int = MAX_HOST_SIZE) -> str:
    """Return ``text`` when it may be a host name or an address for the module: after IDNA, where that is wanted.

    Raises:
        TypeError: not a str.
        ValueError: as :func:`check_parameter`; also when it is empty, or holds a blank, a comma or a semicolon.
    """
    plain = _checked(text, what, _HOST_RE, "quotes, backslashes, blanks, commas and semicolons")
    if not 1 <= len(plain) <= limit:
        raise ValueError(f"{what} must have 1 to {limit} characters, not {len(plain)}")
    return plain


def _checked(text: str, what: str, expression: re.Pattern[str], forbidden: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    # Of a subclass, whose methods may say anything, only its characters.
    plain = str.__str__(text)
    if expression.fullmatch(plain) is None:
        shown = plain if len(plain) <= 80 else f"{plain[:40]}..."
        raise ValueError(f"{what} must be printable ASCII without {forbidden}, not {shown!r}")
    return plain
