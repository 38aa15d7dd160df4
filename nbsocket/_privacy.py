"""What must not be seen in a log: secrets, never; what names a person or a device, not in what leaves the desk.

PIN, PUK and passwords are masked wherever a command, its echo or an answer is shown. IMEI, IMSI, ICCID, telephone
numbers and addresses are masked in what is handed on to others (``--log``, doctor's report): the last characters stay,
so that two of them can be told apart, and so does the length.
"""

from __future__ import annotations

import re
from typing import AnyStr

__all__ = ["mask_identities", "mask_secrets"]

#: What a secret becomes: its length is one, too.
_MASK = "****"

#: Commands and answers with a secret, and how many of their parameters come before the first one.
#: Sources: 3GPP TS 27.007 §7.4, §7.5, §8.3, §10.1.31; Quectel's AT+QICSGP and AT+QMTCONN on siblings of this module.
_SECRETS = {
    "CPIN": 0,
    "CPIN2": 0,
    "CLCK": 2,
    "CPWD": 1,
    "CGAUTH": 3,
    "QICSGP": 4,
    "QCGDEFCONT": 3,
    "QMTCONN": 3,
    "QHTTPAUTH": 1,
}
_QUOTED = r'"[^"\r\n]*"?'
_PARAMETER = rf'(?:{_QUOTED}|[^,"\r\n]*)'
#: Without quotes, a secret ends where the line does that a sentence quotes: at its quote or bracket, or at the line end
#: as Python writes it.
_BARE = r"""(?:[^,"\r\n'\\)]|[')](?=\w)|\\(?![rn]))"""
#: All patterns are compiled when one is first needed, which costs a program that logs nothing no time at its start.
_SECRET_PATTERNS = tuple(
    rf"(\+{name}\s*[=:]\s*(?:{_PARAMETER},){{{before}}}\s*)"
    rf"(?![\s?])(?:{_QUOTED}|{_BARE}+)(?:,(?:{_QUOTED}|{_BARE}*))*"
    for name, before in _SECRETS.items()
)
#: Answers that tell a state, and no secret.
_STATE = r"(?i)\+CPIN2?\s*:"
_HINT_RE = re.compile(r"\+C(PIN|LCK|PWD|GAUTH)|\+Q(ICSGP|CGDEFCONT|MTCONN|HTTPAUTH)", re.IGNORECASE)

#: IMEI and IMSI (15 digits, 16 with the software version), ICCID (19 or 20), telephone numbers with their plus sign.
_NUMBER = r"(?<![0-9A-Za-z.])(?:89[0-9]{16,17}[0-9A-Fa-f]F?|[0-9]{15,16}|\+[0-9]{7,15})(?!\.?[0-9A-Za-z])"
#: Of version 4; of version 6 as TS 27.007 §10.1.14 writes it, sixteen numbers; and as everybody else does.
_ADDRESS = r"(?<![0-9.])(?:[0-9]{1,3}\.){3}(?:(?:[0-9]{1,3}\.){12})?[0-9]{1,3}(?!\.?[0-9])"
_ADDRESS6 = r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{6,39}(?![0-9A-Za-z:])"
#: Addresses that name nobody.
_NOBODYS = ("127.", "0.0.0.0", "255.255.255.")
#: Digits that stay.
_KEPT = 4


def mask_secrets(text: AnyStr) -> AnyStr:
    """Return a line, or a sentence that quotes one, without PIN, PUK and passwords."""
    if isinstance(text, bytes):
        return mask_secrets(text.decode("latin-1")).encode("latin-1")
    shown = str(text)
    if _HINT_RE.search(shown) is None:
        return text
    for pattern in _SECRET_PATTERNS:
        shown = re.sub(pattern, _masked, shown, flags=re.IGNORECASE)
    return shown


def _masked(found: re.Match[str]) -> str:
    return found[0] if re.match(_STATE, found[0]) else f"{found[1]}{_MASK}"


def mask_identities(text: str) -> str:
    """Return a text without whole IMEI, IMSI, ICCID, telephone numbers and addresses."""
    text = re.sub(_NUMBER, lambda found: "*" * (len(found[0]) - _KEPT) + found[0][-_KEPT:], text)
    text = re.sub(_ADDRESS, _masked_address, text)
    return re.sub(_ADDRESS6, _masked_address6, text)


def _masked_address(found: re.Match[str]) -> str:
    address = found[0]
    if address.startswith(_NOBODYS):
        return address
    return f"*.*.*.{address.rpartition('.')[2]}"


def _masked_address6(found: re.Match[str]) -> str:
    address = found[0]
    groups = address.split(":")
    is_time = all(len(group) == 2 and group.isdigit() for group in groups)
    return address if is_time or address.strip(":0") in ("", "1") else f"*:{groups[-1]}"
