"""The models that can be simulated, as data: what is said, what is taken, and what differs on the wire.

Written from the vendor's manuals of each model and from what public projects show of them; no table of the driver is
used, so that the two can disagree. Sources, by model:

- ``bc260y``: BC260Y-CN TCP/IP guide 1.1.
- ``bc660k``: BC660K-GL AT Commands Manual 1.0 (§2 identity, §3 stored echo and rate, §5.4 context 0), BC660K-GL TCP/IP
  Application Note 1.1, and public logs of BC660K-GL: quoted hex in lower case, no name server until one is set.
- ``bc66``: BC66 AT Commands Manual 1.0 and BC26 TCP/IP AT Commands Manual 1.1, which BC25 and BC66-NA share: context 1,
  buffer and direct push mode, received data on a line of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbsocket._dataclass import dataclass

#: AT+IPR of BC260Y-CN.
_BC260Y_RATES = (2400, 4800, 9600, 14400, 19200, 28800, 33600, 38400, 57600, 115200, 230400, 460800)

#: AT+IPR of BC660K-GL (AT Commands Manual 1.0 §3.2), taken for BC66 as well: those between the usual ones are missing.
_SIBLING_RATES = (2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800)


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model: texts, limits, and forms of the wire."""

    #: as ATI and AT+CGMM tell it
    title: str
    #: name of the firmware up to the release, which is an option
    firmware: str
    #: ATI is answered with one block of lines, without an empty line between them
    is_identity_one_block: bool
    #: what precedes that name in the answer to AT+CGMR
    revision_prefix: str
    #: lines of AT+CGMI
    manufacturer: tuple[str, ...]
    #: rates of AT+IPR
    rates: tuple[int, ...]
    #: what precedes them in the answer to the test command: rates that are found out, of which there are none
    found_rates: str
    #: the contextID that works, and the range that is taken at all
    context_id: int
    context_ids: tuple[int, int]
    #: access modes of AT+QIOPEN: 0 keeps received data until AT+QIRD fetches them, 1 pushes them to the host
    access_modes: tuple[int, ...]
    #: the mode when AT+QIOPEN names none
    access_mode: int
    #: bytes of one AT+QISEND as text and after its prompt, and as hex in the command
    max_text_size: int
    max_hex_size: int
    #: bytes of one report
    max_report_size: int
    #: settings of AT+QICFG besides "dataformat", with the value each has at first
    settings: Mapping[str, int]
    #: value of "viewmode" that puts head and data of a report on one line; None: they always are
    one_line_view: int | None
    #: what precedes the outcome of AT+QIDNSGIP
    dns_prefix: str
    #: how many name servers AT+QIDNSCFG tells
    dns_fields: int
    #: AT+QPING: result of a ping without answer, result of the summary
    ping_lost: str
    ping_summary: str
    #: bytes of one ping
    max_ping_size: int
    #: the release whose ping tells no time to live and has at most 200 bytes, "" for none
    first_release: str
    #: commands that not every model has
    commands: frozenset[str]
    #: names are unknown until a name server is set, and a boot forgets it: the network may give none, and public
    #: programs for BC660K-GL set theirs at each start
    needs_name_server: bool
    #: options that have other defaults with this model
    defaults: Mapping[str, Any]

    @property
    def contexts(self) -> str:
        """The contextIDs as a test command tells them."""
        return f"({self.context_ids[0]}-{self.context_ids[1]})"


_BUFFER_COMMANDS = frozenset({"+QIRD", "+QISWTMD"})

MODELS: Mapping[str, SimulatedModel] = {
    "bc260y": SimulatedModel(
        title="Quectel_BC260Y-CN",
        firmware="BC260YCNAAR01",
        is_identity_one_block=False,
        revision_prefix="",
        manufacturer=("Quectel_Ltd",),
        rates=_BC260Y_RATES,
        found_rates="(),",
        context_id=0,
        context_ids=(0, 11),
        access_modes=(1,),
        access_mode=1,
        max_text_size=1024,
        max_hex_size=512,
        max_report_size=1024,
        settings={},
        one_line_view=None,
        dns_prefix="+QIDNSGIP: ",
        dns_fields=4,
        ping_lost="569",
        ping_summary="0",
        max_ping_size=1500,
        first_release="A02",
        commands=frozenset(),
        needs_name_server=False,
        defaults={},
    ),
    "bc660k": SimulatedModel(
        title="Quectel_BC660K-GL",
        firmware="BC660KGLAAR01",
        is_identity_one_block=True,
        revision_prefix="Revision: ",
        manufacturer=("Quectel_Ltd", "Quectel_BC660K-GL", "Revision: QCX212"),
        rates=_SIBLING_RATES,
        found_rates="",
        context_id=0,
        context_ids=(0, 11),
        access_modes=(0, 1),
        access_mode=1,
        max_text_size=1358,
        max_hex_size=512,
        max_report_size=1400,
        settings={"viewmode": 0, "showlength": 1},
        one_line_view=0,
        dns_prefix="+QIDNSGIP: ",
        dns_fields=4,
        ping_lost="569",
        ping_summary="0",
        max_ping_size=1500,
        first_release="",
        commands=_BUFFER_COMMANDS,
        needs_name_server=True,
        defaults={
            "psm": True,
            "stores_settings": True,
            "dns_servers": ("", "", "", ""),
            "cgpaddr_cid": 0,
            "sleep_spelling": "QNBIOTEVENT",
        },
    ),
    "bc66": SimulatedModel(
        title="Quectel_BC66",
        firmware="BC66NBR01",
        is_identity_one_block=True,
        revision_prefix="Revision: ",
        manufacturer=("Quectel_Ltd", "Quectel_BC66", "Revision: MTK_2625"),
        rates=_SIBLING_RATES,
        found_rates="",
        context_id=1,
        context_ids=(1, 3),
        access_modes=(0, 1),
        access_mode=0,
        max_text_size=1440,
        max_hex_size=512,
        max_report_size=1440,
        settings={"viewmode": 0, "showlength": 0},
        one_line_view=1,
        dns_prefix='+QIURC: "dnsgip",',
        dns_fields=2,
        ping_lost="1",
        ping_summary="2",
        max_ping_size=200,
        first_release="",
        commands=_BUFFER_COMMANDS | {"+QISENDEX"},
        needs_name_server=False,
        defaults={
            "quoted_payload": False,
            "dns_quotes": True,
            "cgpaddr_cid": 1,
            "sleep_spelling": "QNBIOTEVENT",
            "ntp_time": "long",
        },
    ),
}
