"""The table of commands: name -> form -> handler.

A handler gets the module, the text after ``=`` and the time; it returns the information lines, or LATER when it says
OK itself, or raises CommandError.
"""

from __future__ import annotations

from ._commands_general import GENERAL, run_basic
from ._commands_radio import RADIO
from ._commands_tcpip import LATER, TCPIP
from ._network_commands import Handler
from ._parser import Form

COMMANDS: dict[str, dict[Form, Handler]] = {**GENERAL, **RADIO, **TCPIP}

__all__ = ["COMMANDS", "LATER", "run_basic"]
