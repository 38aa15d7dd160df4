"""The library's own clock.

Programs under test replace ``time.monotonic``, and every module attribute that refers to it (freezegun does): a modem
whose clock stands still resets its connections. This one cannot be found that way, and is the same whenever nbsocket
was imported.
"""

from __future__ import annotations

import time
from functools import partial

__all__ = ["LONGEST_WAIT", "monotonic"]

#: Seconds that never run backwards while the clock of the system does not.
monotonic = partial(time.clock_gettime, time.CLOCK_MONOTONIC)

#: Seconds after which a wait with a deadline looks at the clock again: it may have jumped (a suspended machine,
#: libfaketime).
LONGEST_WAIT = 60.0
