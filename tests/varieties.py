"""The ways in which firmware differs: each is a set of simulator options, and how one sees it on the wire.

``pytest --firmware NAME`` (or the environment variable NBSOCKET_TEST_SIM=NAME) runs the tests that speak through a
simulated module with that variety; NAME may also be options of one's own, as in ``firmware=A02&prompt=bare``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from nbsocket.sim import Options


@dataclass(frozen=True)
class Variety:
    """One kind of module."""

    #: Of the simulator, by name.
    options: dict[str, Any] = field(default_factory=dict)
    #: Regex that what the module says in the usual scenario has in it; b"" where it shows in time only.
    shows: bytes = b""
    #: Regex that it has not.
    hides: bytes = b""
    #: Data formats in which it shows.
    formats: tuple[str, ...] = ("hex", "raw")


VARIETIES: dict[str, Variety] = {
    "A03": Variety({"firmware": "A03"}, rb"\+QPING: 0,[0-9.]+,32,\d+,54\r\n"),
    "A02": Variety({"firmware": "A02"}, rb"\+QPING: 0,[0-9.]+,32,\d+\r\n", rb",54\r\n"),
    "open_in_use_urc": Variety({"open_in_use": "urc"}, rb"\r\nOK\r\n\r\n\+QIOPEN: 4,563\r\n"),
    "open_in_use_error": Variety({"open_in_use": "error"}, rb"\r\n\+CME ERROR: 563\r\n"),
    "port_busy_556": Variety({"port_busy": 556}, rb"\+QIOPEN: \d,556\r\n"),
    "port_busy_574": Variety({"port_busy": 574}, rb"\+QIOPEN: \d,574\r\n"),
    "busy_open_error": Variety({"busy_open": "error"}),
    "busy_open_568": Variety({"busy_open": "568"}),
    "close_unopened_ok": Variety({"close_unopened": "ok"}, rb"\r\nOK\r\n\r\nCLOSE OK\r\n"),
    "close_unopened_error": Variety({"close_unopened": "error"}, rb"\+CME ERROR: 567"),
    "closed_state_0": Variety({"after_closed": "initial"}, rb'"closed",0\r\n.*\+QISTATE: 0,"TCP",[^\r]*,0,0,1\r\n'),
    "closed_state_4": Variety({"after_closed": "remote"}, rb'"closed",0\r\n.*\+QISTATE: 0,"TCP",[^\r]*,4,0,1\r\n'),
    "closed_state_as_in_the_manual": Variety({"after_closed": "manual"}, rb'"closed",0\r\n.*\+QISTATE: 0,"TCP",'),
    "forgotten_when_closed": Variety(
        {"after_closed": "forgotten"}, rb'"closed",0\r\n.*?\r\nOK\r\n\r\n\+CME ERROR: 567'
    ),
    "error_when_closed": Variety({"after_closed": "error"}, rb'"closed",0\r\n.*?(\r\n\+CME ERROR: 567\r\n){2}'),
    "closed_before_the_last_data": Variety({"closed_first": 0.05}, rb'"closed",0\r\n.*?\+QIURC: "recv",0,12,'),
    "closed_twice": Variety({"closed_twice": True}, rb'(\r\n\+QIURC: "closed",0\r\n){2}'),
    "send_fail_bare": Variety(
        {"send_fail": "bare"}, rb"SEND FAIL", rb"OK\r\n\r\nOK\r\n\r\nSEND FAIL|> \r\nOK\r\n\r\nSEND FAIL"
    ),
    "send_fail_after_ok": Variety({"send_fail": "ok"}, rb"\r\nOK\r\n\r\nSEND FAIL\r\n"),
    **{
        f"full_buffer_{how}": Variety({"full_buffer": how, "send_buffer": 1024, "latency": 0.5}, shows)
        for how, shows in (
            ("fail", rb"\r\nOK\r\n\r\nSEND FAIL\r\n"),
            ("error", rb"\r\nERROR\r\n"),
            ("553", rb"\r\n\+CME ERROR: 553\r\n"),
            ("568", rb"\r\n\+CME ERROR: 568\r\n"),
        )
    },
    "errors_told_when_asked": Variety({"errors": "plain", "last_error": "tell"}),
    "send_closed_error": Variety({"send_closed": "error"}),
    "late_send_ok": Variety({"send_delay": 1.5}, rb"SEND OK"),
    "late_close_ok": Variety({"close_delay": 2.0}, rb"CLOSE OK"),
    "slow_answers": Variety({"answer_delay": 0.3}),
    "slow_prompt": Variety({"prompt_delay": 0.5}, rb">", formats=("raw",)),
    "prompt_bare": Variety({"prompt": "bare"}, rb">\r\nOK", rb"\r\n> ", formats=("raw",)),
    "prompt_blank": Variety({"prompt": "blank"}, rb"\r\n> \r\nOK", formats=("raw",)),
    "prompt_line": Variety({"prompt": "line"}, rb"\r\n>\r\n\r\nOK", formats=("raw",)),
    "ok_before_prompt": Variety({"ok_before_prompt": True}, rb"\r\nOK\r\n\r\n> ", formats=("raw",)),
    "urcs_held_in_data_mode": Variety({"data_mode_urcs": "hold"}),
    "urcs_lost_in_data_mode": Variety({"data_mode_urcs": "lose"}),
    "no_colon_space": Variety({"colon_space": False}, rb'\+QIURC:"recv"', rb"\+(CEREG|QIOPEN|QISEND|QPING): "),
    "extra_crlf": Variety({"extra_crlf": True}, rb"\r\n\r\nOK\r\n", rb"(?<!\r\n)\r\nOK"),
    "lower_case_hex": Variety({"hex_case": "lower"}, rb'\+QIURC: "recv",\d,4,"caff0a22"\r\n', formats=("hex",)),
    "upper_case_hex": Variety({"hex_case": "upper"}, rb'\+QIURC: "recv",\d,4,"CAFF0A22"\r\n', formats=("hex",)),
    "unquoted_hex": Variety({"quoted_payload": False}, rb'\+QIURC: "recv",\d,4,caff0a22\r\n', formats=("hex",)),
    "unquoted_upper_case_hex": Variety(
        {"quoted_payload": False, "hex_case": "upper"}, rb'"recv",\d,4,CAFF0A22\r\n', formats=("hex",)
    ),
    "unquoted_text": Variety({"quoted_payload": False}, rb'"recv",\d,4,\xca\xff\n"\r\n', formats=("raw",)),
    "cgpaddr_0": Variety({"cgpaddr_cid": 0}, rb'\+CGPADDR: 0,"10\.18\.237\.42"'),
    "cgpaddr_1": Variety({"cgpaddr_cid": 1}, rb'\+CGPADDR: 1,"10\.18\.237\.42"'),
    "cgpaddr_5": Variety({"cgpaddr_cid": 5}, rb'\+CGPADDR: 5,"10\.18\.237\.42"'),
    **{f"cereg_{n}": Variety({"cereg": n}) for n in range(6)},
    "error_words": Variety({"cmee": 2}),
    "plain_errors": Variety({"errors": "plain"}, rb"\r\nERROR\r\n", rb"CME ERROR: 5\d\d"),
    "ntp_qnttp": Variety({"ntp_prefix": "QNTTP"}, rb'\+QNTTP: 0,"\d\d/'),
    "ntp_qntpt": Variety({"ntp_prefix": "QNTPT"}, rb'\+QNTPT: 0,"\d\d/'),
    "ntp_long_year": Variety({"ntp_time": "long"}, rb'\+QNTP: 0,"20\d\d/\d\d/\d\d,'),
    "ntp_as_the_example": Variety({"ntp_time": "example"}, rb'\+QNTP: 0,"\d\d/\d\d/\d\d,\d\d:\d\d:\d\d:35\+32"'),
    "ping_lossy": Variety({"ping": "lossy"}, rb"\+QPING: 569\r\n"),
    "ping_fails": Variety({"ping": "fail"}, rb"(\r\n\+QPING: 569\r\n){3}"),
    "ping_fails_in_one_line": Variety({"ping": "total"}, rb"\+QPING: 569\r\n", rb"\+QPING: 569\r\n\r\n\+QPING"),
    "dns_quotes": Variety({"dns_quotes": True}, rb'\+QIDNSGIP: "198\.'),
    "no_echo_at_start": Variety({"echo": False}, rb"^\r\nOK", rb"ATE0"),
    "echo_at_start": Variety({"echo": True}, rb"^AT\r\r\nOK"),
    "stored_hex": Variety({"send_format": "hex", "receive_format": "hex"}, rb'"dataformat",1,1'),
    "orphans": Variety({"orphans": 3}, rb"(CLOSE OK.*){3}"),
    "booting": Variety({"attached": False, "boot_time": 8.0, "boot_noise": True, "attach_delay": 5.0}, rb"RDY"),
    **{
        f"booting_{name}": Variety({"attached": False, "boot_time": 4.0, "boot_reports": name}, shows, rb"\r\nRDY\r\n")
        for name, shows in {
            "no_rdy": rb"\+CFUN: 1\r\n",
            "garbled": rb"\r\n\xf8DY\r\n.*\+CFUN: 1",
            "noisy": rb"\x00RDY\r\n.*\+CFUN: 1",
            "rom": rb"Leaving the BROM\r\n.*\+CFUN: 1",
        }.items()
    },
    "booting_without_a_word": Variety({"attached": False, "boot_time": 4.0, "boot_reports": "none"}, b"", rb"RDY|\+IP"),
    "booting_silently": Variety({"attached": False, "boot_time": 4.0, "boot_answer": "nothing"}, rb"RDY"),
    "roaming": Variety({"registration": "roaming"}, rb"\+CEREG: \d,5"),
    "far_away": Variety({"latency": 2.0, "radio_rate": 2000.0}),
    "slow_line": Variety({"baudrate": 9600}),
    "strict": Variety({"strict": True}),
    "echo_stays": Variety({"echo_stays": True}, rb"ATE0\r.*AT\+QISEND=0", formats=("hex",)),
    "results_as_numbers": Variety({"results": "numbers"}, rb"AT\r0\r.*ATV1\r\r\nOK"),
    "no_results": Variety({"results": "none"}, rb"AT\r(AT\r)+ATQ0\r\r\nOK"),
    "address_late": Variety({"attached": False, "cereg": 1, "address_delay": 5.0}, rb"\+CEREG: 1\r.*\+IP: "),
    "sim_busy": Variety({"sim_busy": 6.0}, rb"(\+CME ERROR: 14\r.*){6}"),
    "radio_off": Variety({"radio_off": True, "cfun_time": 30.0}, rb"\+CFUN: 0\r"),
    "radio_saves_power": Variety({"psm": True, "active_time": 2.0}, rb'\+CPSMS: 1,,,"01000001","00000001"\r'),
    **{
        f"lacks_commands_{answer}": Variety(
            {"unknown_commands": ("CPSMS", "CMEE", "IPR"), "unknown_answer": answer, "cmee": 1}, shows
        )
        for answer, shows in {
            "100": rb"\+CME ERROR: 100\r",
            "4": rb"\+CME ERROR: 4\r",
            "error": rb"\r\nERROR\r",
        }.items()
    },
    "short_rows": Variety({"state_rows": "short", "orphans": 2}, rb'\+QISTATE: 1,"UDP","[^"]*",7,0,2\r'),
    # Many at once, for runs of the whole suite.
    "mixture_1": Variety(
        {
            "firmware": "A02",
            "prompt": "bare",
            "hex_case": "upper",
            "quoted_payload": False,
            "colon_space": False,
            "extra_crlf": True,
            "open_in_use": "urc",
            "send_fail": "bare",
            "close_unopened": "ok",
            "cgpaddr_cid": 0,
            "errors": "plain",
            "data_mode_urcs": "hold",
        }
    ),
    "mixture_2": Variety(
        {
            "prompt": "line",
            "ok_before_prompt": True,
            "cmee": 2,
            "cereg": 5,
            "busy_open": "568",
            "send_closed": "error",
            "echo": False,
            "strict": True,
            "send_format": "hex",
            "receive_format": "hex",
            "port_busy": 556,
            "after_closed": "forgotten",
            "closed_first": 0.02,
            "closed_twice": True,
            "cgpaddr_cid": 1,
            "dns_quotes": True,
        }
    ),
    "qnbiotevent": Variety({"sleep_spelling": "QNBIOTEVENT"}),
}

#: Those that the whole suite may be run with; the others change what tests expect of the simulator itself.
_UNSUITED = (
    "ping_",
    "echo_stays",
    "no_results",
    "address_late",
    "sim_busy",
    "radio_",
    "short_rows",
    "lacks_",
    "booting",
    "far_away",
    "slow_line",
    "late_",
    "urcs_lost",
    "roaming",
    "orphans",
)


def chosen(text: str) -> dict[str, Any]:
    """Return the options that a name or a query stands for.

    Raises:
        ValueError: neither a variety nor options of the simulator.
    """
    if not text:
        return {}
    if text in VARIETIES:
        return dict(VARIETIES[text].options)
    if "=" not in text:
        raise ValueError(f"no such firmware: {text!r}; there are {', '.join(VARIETIES)}, or option=value&option=value")
    given, default = Options.from_query(text), Options()
    return {
        row.name: value for row in fields(Options) if (value := getattr(given, row.name)) != getattr(default, row.name)
    }


def suited() -> list[str]:
    """Names of the varieties for runs of the whole suite."""
    return [name for name in VARIETIES if not name.startswith(_UNSUITED)]
