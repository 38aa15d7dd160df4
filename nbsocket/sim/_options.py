"""Everything that can be chosen about the simulated module, as one frozen value.

Each option is one row: its default, how its text is read (URL query and command line alike) and one line of help.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from ._hosts import check_rule, is_address
from ._models import MODELS
from ._option_kinds import (
    Kind,
    choice,
    command_names,
    ip_address,
    ip_addresses,
    matching,
    number,
    numbers,
    pairs_of,
    yes_no,
)
from ._uart import GRAIN

if TYPE_CHECKING:
    import argparse


def _check_dns(name: str, address: str) -> str | None:
    return None if is_address(address) else f"needs an IP address after {name}=, not {address!r}"


def _option(default: Any, spec: Kind, text: str) -> Any:
    metadata = {"read": spec[0], "check": spec[1], "choices": spec[2], "help": text}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


_INFINITE = float("inf")
_seconds = number(0, _INFINITE, float)


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulated module is like; every field has a default and can be given in a URL or on a command line.

    Seconds are floats. ``latency`` is a round trip: half of it applies to each direction.

    Raises:
        ValueError: a value is out of range; the sentence names the option and what is allowed.
    """

    # which model
    model: str = _option(
        "bc260y",
        choice(*MODELS),
        "bc260y: BC260Y-CN, bc660k: BC660K-GL and BC950K-GL, bc66: BC66, BC26, BC25; other options may have other"
        " defaults with it",
    )

    # the serial line
    baudrate: int | None = _option(
        None, number(300, 4_000_000, optional=True), "pace the serial line at this rate (none: as fast as it goes)"
    )
    grain: float = _option(
        GRAIN,
        number(0.0001, 0.1, float),
        "seconds' worth of a paced line's bytes that reach the host at a time, as the adapters of serial ports do it",
    )
    strict_baud: bool = _option(False, yes_no(), "only understand a host whose own rate is the module's")
    echo: bool = _option(True, yes_no(), "echo is on at start (after a boot it always is, unless stored)")
    echo_stays: bool = _option(False, yes_no(), "ATE0 is answered OK, and the echo goes on")
    results: str = _option(
        "words",
        choice("words", "numbers", "none"),
        "how another program has left the results: as words, as numbers (ATV0), or none at all (ATQ1)",
    )
    strict: bool = _option(False, yes_no(), "answer ERROR to a command that comes before the previous one is finished")
    deaf_time: float = _option(0.0, _seconds, "seconds after each final result in which commands are ignored")

    # the radio
    latency: float = _option(0.0, _seconds, "round trip in seconds, for connect, data, acknowledgement, DNS and ping")
    radio_rate: float | None = _option(
        None,
        number(1, _INFINITE, float, optional=True),
        "bytes a second over the air, each direction (none: no limit)",
    )
    loss: float = _option(0.0, number(0, 1, float), "share of datagrams that get lost, each direction")
    seed: int = _option(0, number(0, 2**63), "seed of everything that is random")

    # who and where it is
    firmware: str = _option("A03", choice("A02", "A03"), "release of the firmware, such as BC260YCNAAR01A03")
    imei: str = _option("869000000000001", matching(r"\d{15}", "must be 15 digits"), "what AT+CGSN=1 tells")
    rssi: int = _option(20, number(0, 99), "signal as AT+CSQ tells it: 0 to 31, 99 unknown")
    rsrp: int | None = _option(
        None, number(-140, -44, optional=True), "power of the reference signal in dBm (none: as rssi has it)"
    )
    rsrq: int = _option(-11, number(-20, -3), "quality of the reference signal in dB")
    sinr: int = _option(9, number(-20, 40), "signal to noise and interference in dB")
    ecl: int = _option(0, number(0, 2), "coverage enhancement level")
    band: int = _option(8, number(1, 88), "band of the serving cell")
    earfcn: int = _option(3736, number(0, 262143), "channel of the serving cell")
    pci: int = _option(95, number(0, 503), "physical cell id of the serving cell")
    cell: str = _option("0A1B2C3D", matching(r"[0-9A-F]{1,8}", "must be 1 to 8 hex digits"), "id of the serving cell")
    tac: str = _option("3C5E", matching(r"[0-9A-F]{1,4}", "must be 1 to 4 hex digits"), "tracking area of that cell")
    operator: str = _option("46004", matching(r"\d{5,6}", "must be 5 or 6 digits"), "number of the operator")
    operator_name: str = _option(
        "CHINA MOBILE", matching(r'[^"\r\n]{1,32}', "must be 1 to 32 characters without quotes"), "name of the operator"
    )
    imsi: str = _option("460040000000001", matching(r"\d{6,15}", "must be 6 to 15 digits"), "what AT+CIMI tells")
    iccid: str = _option(
        "89860400000000000001", matching(r"[0-9A-F]{18,20}", "must be 18 to 20 digits"), "what AT+QCCID tells"
    )
    voltage: int = _option(3600, number(0, 6000), "supply in millivolts, as AT+CBC tells it")
    address: str = _option("10.18.237.42", ip_address(), "the module's own IP address")
    apn: str = _option(
        "cmnbiot", matching(r'[^"\r\n]{0,100}', "must be at most 100 characters without quotes"), "the APN that is set"
    )
    pdp_type: str = _option("IP", choice("IP", "IPV6", "IPV4V6"), "kind of addresses of the context that is defined")
    needs_apn: str = _option(
        "",
        matching(r'[^"\r\n]{0,100}', "must be at most 100 characters without quotes"),
        "connect fails with 573 unless this APN is set",
    )
    hosts: Mapping[str, str] = _option(
        {},
        pairs_of(check_rule),
        "route NAME_OR_ADDRESS[:PORT] (or *.NAME, or *) to a loopback address[:port] or to refused, timeout, unknown",
    )
    dns: Mapping[str, str] = _option({}, pairs_of(_check_dns), "let a name resolve to this address")
    dns_servers: tuple[str, ...] = _option(
        ("218.2.2.2", "8.8.8.8", "", ""), ip_addresses(4), "primary and secondary IPv4, then IPv6 name servers"
    )

    # its life
    attached: bool = _option(True, yes_no(), "running and attached since long before the host came (no: power on now)")
    attach_delay: float = _option(0.0, _seconds, "seconds from power on to an IP address")
    address_delay: float = _option(0.0, _seconds, "seconds from the registration to an IP address")
    registration: str = _option(
        "home",
        choice("home", "roaming", "no", "searching", "denied", "unknown"),
        "what becomes of the registration",
    )
    reject_cause: int = _option(13, number(0, 255), "EMM cause of a registration that is denied")
    sim_card: str = _option("ready", choice("ready", "none", "pin", "puk"), "state of the SIM card")
    pin: str = _option(
        "1234",
        matching(r"[0-9]{4,8}", "must be 4 to 8 digits"),
        "the SIM card's PIN, where it wants one (sim_card=pin)",
    )
    pin_attempts: int = _option(3, number(0, 10), "how often it may be entered wrongly before the card wants its PUK")
    sim_busy: float = _option(0.0, _seconds, "seconds after power on for which the SIM card is busy (+CME ERROR: 14)")
    radio_off: bool = _option(False, yes_no(), "the radio is off after power on (AT+CFUN: 0)")
    cfun_time: float = _option(0.0, _seconds, "seconds that AT+CFUN=1 takes to switch the radio on")
    psm: bool = _option(
        False,
        yes_no(),
        "AT+CPSMS=1 is stored: what comes later than active_time after the last traffic waits for the next uplink",
    )
    active_time: float = _option(10.0, _seconds, "T3324 of AT+CPSMS, rounded up to 2 s or minutes")
    granted_active_time: float | None = _option(
        None, number(0, _INFINITE, float, optional=True), "T3324 that the network grants (none: as asked)"
    )
    granted_periodic_time: float | None = _option(
        None, number(0, _INFINITE, float, optional=True), "T3412 extended that the network grants (none: 6 hours)"
    )
    edrx: str = _option(
        "", matching(r"[01]{4}|", "must be 4 bits"), "eDRX cycle that is stored, as AT+CEDRXS takes it (empty: off)"
    )
    granted_edrx: str = _option(
        "", matching(r"[01]{4}|none|", "must be 4 bits or none"), "eDRX cycle that the network grants (empty: as asked)"
    )
    connected_time: float = _option(
        10.0, _seconds, "seconds after the last traffic at which the network releases the radio connection (AT+CSCON)"
    )
    boot_time: float = _option(0.0, _seconds, "seconds from power on to RDY")
    boot_noise: bool = _option(False, yes_no(), "noise on the line before RDY")
    boot_answer: str = _option("ERROR", choice("ERROR", "nothing"), "what commands get before RDY")
    boot_reports: str = _option(
        "full",
        choice("full", "no_rdy", "garbled", "noisy", "rom", "none"),
        "what a boot says: RDY and the rest, all but RDY, RDY garbled or with noise before it, the ROM's log in place"
        " of RDY, or nothing at all, not even the address",
    )
    stores_settings: bool = _option(False, yes_no(), "echo, AT+CMEE and AT+CEREG stay as they are over a boot")
    stores_echo: bool = _option(False, yes_no(), "ATE is stored: echo alone stays as it is over a boot")
    context_reports: str = _option(
        "ip", choice("ip", "cgev", "pdpdeact"), "what is said when the data context comes back with another address"
    )
    send_format: str = _option("text", choice("text", "hex"), "stored format of data to send")
    receive_format: str = _option("text", choice("text", "hex"), "stored format of received data")
    orphans: int = _option(0, number(0, 5), "sockets left open by a host that went away")
    cmee: int = _option(0, number(0, 2), "AT+CMEE after boot")
    cereg: int = _option(0, number(0, 5), "AT+CEREG after boot")
    sleep_delay: float = _option(10.0, _seconds, "idle seconds after which AT+QSCLK=1 lets it sleep")
    wake_delay: float = _option(0.0, _seconds, "seconds it takes to wake up")
    wake_answer: str = _option("nothing", choice("nothing", "blank", "ERROR"), "what the command gets that wakes it up")
    wakes_by_line: bool = _option(True, yes_no(), 'AT+QCFG="wakeupRXD": the serial line ends deep sleep')
    sleep_events: bool = _option(True, yes_no(), "tell about deep sleep without AT+QNBIOTEVENT=1,1")
    sleep_spelling: str = _option("QNBIOEVENT", choice("QNBIOEVENT", "QNBIOTEVENT"), "spelling of that URC")
    clock: float | None = _option(
        None, number(0, _INFINITE, float, optional=True), "UTC in Unix seconds at start (none: the machine's clock)"
    )
    time_zone: int = _option(32, number(-48, 56), "the network's time zone in quarters of an hour")
    idle_timeout: float | None = _option(
        None,
        number(1, _INFINITE, float, optional=True),
        "seconds after which the network silently forgets an idle TCP connection",
    )
    dead_after: float | None = _option(
        None,
        number(0, _INFINITE, float, optional=True),
        "seconds after which unacknowledged data make the module report a TCP connection closed (none: never)",
    )

    # how long it takes
    answer_delay: float = _option(0.0, _seconds, "seconds from a command to its answer")
    prompt_delay: float = _option(0.0, _seconds, "seconds from AT+QISEND to the prompt")
    send_delay: float = _option(0.0, _seconds, "seconds from OK to SEND OK")
    close_delay: float = _option(0.05, _seconds, "seconds from OK to CLOSE OK")
    connect_timeout: float = _option(60.0, _seconds, "seconds after which AT+QIOPEN fails with 569")
    port_hold: float = _option(70.0, _seconds, "seconds a chosen local port stays busy after its close")
    send_buffer: int = _option(16384, number(1024, 1 << 20), "bytes not yet acknowledged that a TCP connection holds")

    # how its kind differ
    unknown_commands: tuple[str, ...] = _option(
        (), command_names(), "commands that the firmware lacks, such as CESQ,QENG"
    )
    unknown_answer: str = _option(
        "100", choice("100", "4", "error"), "what they get: that number as AT+CMEE says, or ERROR whatever it says"
    )
    open_in_use: str = _option(
        "error", choice("error", "urc"), "opening an id in use: ERROR, or OK and +QIOPEN: id,563"
    )
    port_busy: int = _option(574, number(556, 574), "result of opening with a busy local port (574 or 556)")
    busy_open: str = _option(
        "obey", choice("obey", "error", "568"), "commands on the network while an AT+QIOPEN is pending"
    )
    close_unopened: str = _option(
        "error", choice("error", "ok"), "closing an id that is not open: ERROR, or OK and CLOSE OK"
    )
    after_closed: str = _option(
        "manual",
        choice("manual", "initial", "remote", "forgotten", "error"),
        "AT+QISTATE after the peer or the network closed: 4 or 0 by what it was, always 0, always 4, no such socket any"
        " more, or ERROR for it",
    )
    closed_first: float | None = _option(
        None,
        number(0, _INFINITE, float, optional=True),
        "seconds after the report of a close at which the data that came before it are reported (none: in order)",
    )
    closed_twice: bool = _option(False, yes_no(), "the report of a close comes twice")
    state_rows: str = _option("full", choice("full", "short"), "rows of AT+QISTATE: whole, or ending with the state")
    send_fail: str = _option("ok", choice("ok", "bare"), "SEND FAIL after OK, or alone")
    full_buffer: str = _option(
        "wait",
        choice("wait", "fail", "error", "553", "568"),
        "sending into a full buffer: SEND FAIL after 5 s without room, SEND FAIL at once, ERROR, or that error",
    )
    last_error: str = _option(
        "unknown", choice("unknown", "tell"), "AT+QIGETERROR is unknown, or tells what the last error was"
    )
    send_closed: str = _option("fail", choice("fail", "error"), "sending after the peer closed: SEND FAIL or ERROR")
    prompt: str = _option("blank", choice("bare", "blank", "line"), r"'>', '\r\n> ' or '\r\n>\r\n'")
    ok_before_prompt: bool = _option(False, yes_no(), "OK comes before the prompt, not after the data")
    data_mode_urcs: str = _option("pass", choice("pass", "hold", "lose"), "URCs between the prompt and the data")
    colon_space: bool = _option(True, yes_no(), "a space after the colon of '+X: '")
    extra_crlf: bool = _option(False, yes_no(), "an empty line more before each answer")
    hex_case: str = _option("lower", choice("lower", "upper"), "case of received hex digits")
    quoted_payload: bool = _option(True, yes_no(), "quotes around received data")
    cgpaddr_cid: int = _option(5, number(0, 5), "cid of AT+CGPADDR: 0, 1 or 5")
    errors: str = _option(
        "cme", choice("cme", "plain"), "errors of the TCP/IP commands: as AT+CMEE says, or always ERROR"
    )
    ntp_prefix: str = _option("QNTP", choice("QNTP", "QNTTP", "QNTPT"), "spelling of the answer to AT+QNTP")
    ntp_time: str = _option(
        "short", choice("short", "long", "example"), "two or four digits of the year, or the malformed example"
    )
    ping: str = _option(
        "ok",
        choice("ok", "lossy", "fail", "total"),
        "every ping, every other one or none answered; total: one line only",
    )
    ping_times: tuple[float, ...] = _option(
        (), numbers(float, "must be seconds separated by commas"), "round trips of pings, in turn"
    )
    dns_quotes: bool = _option(False, yes_no(), "quotes around resolved addresses")

    def __post_init__(self) -> None:
        for row in dataclasses.fields(self):
            problem = row.metadata["check"](getattr(self, row.name))
            if problem:
                raise ValueError(f"simulator option {row.name!r} {problem}, not {getattr(self, row.name)!r}")
        if self.port_busy not in (556, 574):
            raise ValueError(f"simulator option 'port_busy' must be 556 or 574, not {self.port_busy}")

    @classmethod
    def from_query(cls, query: str) -> Options:
        """Read ``latency=0.3&host=broker.example=127.0.0.1:8883&...``; ``host`` and ``dns`` may be repeated."""
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise ValueError(f"simulator options must be name=value&name=value, not {query!r}") from None
        return cls.from_texts(pairs)

    @classmethod
    def from_url(cls, url: str) -> Options:
        """Read the query of a ``sim://`` URL."""
        parts = urlsplit(url)
        if parts.scheme != "sim":
            raise ValueError(f"the simulator's URL begins with sim://, not {url!r}")
        return cls.from_query(parts.query)

    @classmethod
    def from_texts(cls, pairs: list[tuple[str, str]]) -> Options:
        """Read (name, text) pairs.

        Raises:
            ValueError: unknown option or bad value; the sentence names it.
        """
        rows = {row.name: row for row in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for given, text in pairs:
            name = {"host": "hosts"}.get(given.replace("-", "_"), given.replace("-", "_"))
            if name not in rows:
                raise ValueError(f"unknown simulator option {given!r}; there are: " + ", ".join(sorted(rows)))
            value = _read(rows[name], text)
            if rows[name].metadata["choices"] == ("NAME=VALUE",):
                values.setdefault(name, {}).update([value])
            else:
                values[name] = value
        return cls(**values)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add one ``--option`` for each field to an argument parser; read them back with :meth:`from_namespace`."""
        group = parser.add_argument_group("simulator options")
        for row in dataclasses.fields(cls):
            flag = "--" + {"hosts": "host"}.get(row.name, row.name).replace("_", "-")
            keywords: dict[str, Any] = {"dest": "sim_" + row.name, "default": None, "help": _help(row)}
            if row.metadata["choices"] == ("NAME=VALUE",):
                keywords.update(action="append", metavar="NAME=VALUE")
            elif isinstance(row.default, bool):
                keywords.update(nargs="?", const="yes", metavar="yes|no")
            else:
                keywords.update(metavar="|".join(row.metadata["choices"]) or row.name.upper())
            group.add_argument(flag, **keywords)

    @classmethod
    def from_namespace(cls, namespace: argparse.Namespace) -> Options:
        """Build the options from what :meth:`add_arguments` parsed.

        Raises:
            ValueError: a bad value; the sentence names the option.
        """
        pairs: list[tuple[str, str]] = []
        for row in dataclasses.fields(cls):
            given = getattr(namespace, "sim_" + row.name, None)
            texts = given if isinstance(given, list) else [] if given is None else [given]
            pairs += [(row.name, text) for text in texts]
        return cls.from_texts(pairs)


_set_given = Options.__init__


@functools.wraps(_set_given)
def _set_with_model(self: Options, *given: Any, **named: Any) -> None:
    """What is not given has the model's value, where the model has one of its own."""
    model = MODELS.get(named.get("model", ""))
    _set_given(self, *given, **({**model.defaults, **named} if model is not None else named))


# The class is made first, so that its fields keep the values of the first model, which help and documents show.
Options.__init__ = _set_with_model  # type: ignore[method-assign]  # the same signature, as wraps() has it


def _read(row: dataclasses.Field[Any], text: str) -> Any:
    try:
        return row.metadata["read"](text)
    except ValueError:
        shape = "must be NAME=VALUE" if row.metadata["choices"] == ("NAME=VALUE",) else _sentence(row)
        raise ValueError(f"simulator option {row.name!r} {shape}, not {text!r}") from None


def _sentence(row: dataclasses.Field[Any]) -> str:
    return str(row.metadata["check"](object()) or "has another form")


def _help(row: dataclasses.Field[Any]) -> str:
    text = str(row.metadata["help"]).replace("%", "%%")
    if row.default is dataclasses.MISSING or row.default in ("", None):
        return text
    if isinstance(row.default, bool):
        return f"{text} (default: {'yes' if row.default else 'no'})"
    default = ",".join(map(str, row.default)) if isinstance(row.default, tuple) else row.default
    return f"{text} (default: {default})" if default != "" else text
