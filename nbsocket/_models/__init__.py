"""What is particular to each model, as data: limits, timings, forms of lines. No state, no time, no decisions.

``_profile`` says what a profile holds and makes the commands; one file a family fills it in. The driver asks a profile
for a command or a number, and never which model it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nbsocket._models._bc66 import BC66
from nbsocket._models._bc260y import BC260Y
from nbsocket._models._bc660k import BC660K
from nbsocket._models._profile import Profile, ReceiveShape, ViewSetting

__all__ = ["BC66", "BC260Y", "BC660K", "PROFILES", "Profile", "ReceiveShape", "ViewSetting", "profile_for"]

#: Every profile by its name.
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (BC260Y, BC660K, BC66)}

# Quectel_BC660K-GL; also Revision: BC660KGLAAR01A05, where the name of the model is missing.
_NAME_RE = re.compile(r"(?:Revision:)? *(?:Quectel[_ ])? *(BC[0-9]+[A-Z]?)", re.IGNORECASE)


def profile_for(ati_lines: Iterable[str]) -> Profile | None:
    """Return the profile of the model that the answer to ATI names; None for any other model.

    Args:
        ati_lines: the information lines, such as ``Quectel_Ltd``, ``Quectel_BC66``, ``Revision: BC66NBR01A03``.
    """
    for line in ati_lines:
        match = _NAME_RE.match(line.strip())
        for profile in PROFILES.values() if match is not None else ():
            if profile.recognises(match[1]):  # type: ignore[index]  # the loop is empty without a match
                return profile
    return None
