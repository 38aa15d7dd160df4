"""A plan: everything that a run is made of, as data that can be printed, replayed and shortened."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Literal

from nbsocket._driver import Settings
from nbsocket.sim import Options
from tests.simulation.seeds import SEEDS
from tests.simulation.variety import random_endings, random_options, random_settings, random_signs, random_starts

#: Connections of one plan; a port of the peers' side each, so that every byte has an owner.
MOST_CONNECTIONS = 9

#: Bytes that one side of a connection may write in a plan.
SIZES = (0, 1, 2, 5, 20, 100, 511, 512, 513, 1000, 1023, 1024, 1025, 1500, 2048, 4000)

#: Faults of a command's answer, as (action, further fields of the fault).
ANSWER_FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("error", {}),
    ("error", {"code": 50}),
    ("error", {"code": 552}),
    ("error", {"code": 553}),
    ("error", {"code": 567}),
    ("error", {"code": 568}),
    ("error", {"is_carried_out": True}),
    ("result", {"code": 551}),
    ("result", {"code": 563}),
    ("result", {"code": 566}),
    ("result", {"code": 568}),
    ("result", {"code": 569}),
    ("send_fail", {}),
    ("send_fail", {"is_carried_out": True}),
    ("silence", {}),
    ("silence", {"is_carried_out": True}),
    ("silence_final", {}),
    ("late", {}),
    ("late_final", {}),
)

#: Commands that a fault may wait for, by weight.
TARGETS = (
    *(r"AT\+QISEND=\d,[1-9]",) * 8,
    r"AT\+QISEND=\d,0",
    *(r"AT\+QIOPEN",) * 3,
    *(r"AT\+QICLOSE",) * 2,
    r"AT\+QISTATE",
    r"AT\+QIDNSGIP",
    r"AT\+QICFG",
    r"AT\+CEREG",
    r"AT\+(CSQ|CGMR|CCLK|QPING|QNTP)",
    r"AT$",
    r"AT",
)

#: Segments and datagrams.
SENDS = r"AT\+QISEND=\d,[1-9]"

#: Rates that a plan may change to.
CHANGED_RATES = (9600, 57600, 115200, 460800)

#: Commands of the user's own that change how the module is spoken to: the driver puts that right again.
OWN_SETTINGS = (
    "ATE1",
    "ATZ",
    "AT&F",
    "ATV0",
    "ATQ1",
    "AT+CMEE=0",
    "AT+CMEE=2",
    "AT+CEREG=0",
    "AT+CEREG=5",
    'AT+QICFG="dataformat",0,0',
    'AT+QICFG="dataformat",1,0',
    'AT+QICFG="dataformat",1,1',
)

#: Lines of other firmware that cannot be what is left of received hex data, and so excuse nothing.
CHATTER = (
    b'\r\nNAME: "x"\r\n',
    b"\r\n^MODE: 17,17\r\n",
    b'\r\n*x: 1,"y"\r\n',
    b'\r\n+XYZ: "ab",12\r\n',
    b"\r\nHELLO\r\n",
)
#: Those of them that do not begin as a report.
BARE_CHATTER = (CHATTER[0], CHATTER[4])

#: Lines that the module may say for no reason.
STRAY_LINES = (
    b"\r\nOK\r\n",
    b"\r\n\r\n",
    b"\r\nSEND OK\r\n",
    b"\r\nSEND FAIL\r\n",
    b"\r\nERROR\r\n",
    b"\r\n+CME ERROR: 567\r\n",
    b"\r\nCLOSE OK\r\n",
    b"\r\n+CSCON: 1\r\n",
    b"\r\n+QIOPEN: 4,0\r\n",
    b"\r\n+QIDNSGIP: 565\r\n",
    b"\r\n> ",
    b"\r\n+CEREG: 1\r\n",
    b"\r\n+XYZ: 1\r\n",
)


#: What a module may tell in place of an address.
DNS_JUNK = (
    b"93.184.216.340",
    b"1.2.3",
    b"...",
    b"fade.cafe",
    b"0x7f.1",
    b"1.2.3.4:80",
    b"::1::",
    b"fe80::1%eth0",
    b"none",
)

#: Seconds for which look-ups may be refused and none fails of it.
MOST_REFUSED = 12.0

#: Facilities of the module whose outcomes name nothing: their commands, and requests that use them.
FACILITIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "dns": (r"AT\+QIDNSGIP", ("resolve", "resolve_other", "unknown_name", "raw_resolve")),
    "ping": (r"AT\+QPING", ("ping", "ping_other")),
    "ntp": (r"AT\+QNTP", ("time", "unknown_time")),
}


@dataclass(frozen=True)
class Step:
    """Something that happens at a time of its own; ``verb`` is a method of the world."""

    at: float
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.at:8.3f} s  {self.verb}({told})"


@dataclass(frozen=True)
class Plan:
    """One run."""

    seed: int
    settings: Settings
    #: Those of the module's options that are not the default.
    options: dict[str, Any]
    #: How the serial line cuts what the module says: "whole", "bytes", "pieces", "slow".
    cut: str
    steps: tuple[Step, ...]
    #: The most baud that the host's port can do; its driver stays at the rate it had. None: any.
    port_limit: int | None = None

    @property
    def module_options(self) -> Options:
        """The module's options in full."""
        return Options(**self.options)

    @property
    def is_calm(self) -> bool:
        """Nothing goes wrong in it."""
        return not any(step.verb in FAULT_VERBS for step in self.steps)

    @property
    def spares_look_ups(self) -> bool:
        """The worst that happens is that look-ups are refused for a while, or one is ignored: none may fail of it."""
        faults = [step for step in self.steps if step.verb in FAULT_VERBS]
        return len(faults) == 1 and _is_passing(faults[0])

    @property
    def loses_nothing(self) -> bool:
        """The worst that happens is that the module forgets a UDP socket, which must cost no datagram."""
        return not any(step.verb in FAULT_VERBS - {"forget"} for step in self.steps)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}", f"{self.settings}", f"module {self.options}", f"line cut: {self.cut}"]
        if self.port_limit is not None:
            lines.append(f"the port does {self.port_limit} baud at the most")
        return "\n".join(lines + [str(step) for step in self.steps])


def _is_passing(step: Step) -> bool:
    fault = step.arguments
    if step.verb != "answer_fault" or fault["match"] != FACILITIES["dns"][0]:
        return False
    if fault["action"] == "refuse":
        return bool(fault["delay"] <= MOST_REFUSED)
    return bool(fault["action"] == "silence" and fault.get("times", 1) == 1)


FAULT_VERBS = frozenset(
    {
        "answer_fault",
        "break_connection",
        "double_line",
        "forget",
        "lose_bytes",
        "lose_port",
        "lose_registration",
        "readdress",
        "restart_module",
        "stray",
    }
)


def make_plan(seed: int) -> Plan:
    """Everything about a run follows from its seed."""
    random = Random(seed)
    settings = random_settings(random)
    options = random_options(random, settings)
    plan = Plan(seed, settings, options, _random_cut(random), tuple(_Writer(random, settings, options).steps()))
    # What was added later has dice of its own, so that the rest of a seed stays what it was.
    if seed in SEEDS:
        return plan
    plan = _with_look_ups(_with_more(plan, Random(seed ^ 0xADD5)), Random(seed ^ 0xD25))
    plan = _with_endings(plan, Random(seed ^ 0xE2D5))
    plan = _with_losses(plan, Random(seed ^ 0x1055))
    plan = _with_slow_sends(plan, Random(seed ^ 0x510B))
    plan = _with_refused_look_ups(plan, Random(seed ^ 0xD2EF))
    plan = replace(plan, options=plan.options | random_starts(Random(seed ^ 0x57A7), plan.settings))
    return _without_deafness(_with_settings(plan, Random(seed ^ 0x5E77)))


def with_model(plan: Plan, model: str) -> Plan:
    """The same with a modem of another model, which the driver has to find out."""
    if model == "bc260y":
        return plan
    # Only a pin wakes a BC66: the driver refuses to let it sleep.
    power: Literal["awake", "psm"] = "awake" if model == "bc66" else plan.settings.power
    # A BC660K-GL has no name server until one is set (docs/siblings.md §2).
    dns = ("192.0.2.53",) if model == "bc660k" and not plan.settings.dns else plan.settings.dns
    settings = replace(plan.settings, model="auto", power=power, dns=dns)
    return replace(plan, settings=settings, options=plan.options | {"model": model})


def _without_deafness(plan: Plan) -> Plan:
    """A module that ignores commands which come too soon is left to plans in which an ignored command costs time only.

    A user's own command is not given again; payload in data mode whose command was ignored is in doubt; and bring-up
    takes 20 s more.
    """
    is_costly = any(step.verb == "raw_open" for step in plan.steps) or not plan.settings.is_hex
    if "deaf_time" not in plan.options or not (is_costly or plan.settings.attach_timeout < 60.0):
        return plan
    return replace(plan, options={name: value for name, value in plan.options.items() if name != "deaf_time"})


def _with_more(plan: Plan, random: Random) -> Plan:
    """Add what is rare: waits for a socket, own sockets, changes of the rate, lost reports, doubled lines."""
    settings, options, steps = plan.settings, plan.options, list(plan.steps)
    if random.random() < 0.25:
        settings = replace(settings, wait_for_socket=random.choice((1.0, 10.0, 60.0, 300.0)))
    if settings.is_hex and random.random() < 0.05:
        options = options | {"data_mode_urcs": "lose"}
    length = max((step.at for step in steps), default=0.0)
    moments = iter(lambda: round(random.uniform(0.0, length), 3), None)
    if random.random() < 0.15:
        for _ in range(random.choice((1, 1, 2, 4))):
            fields = {"socket_id": random.randrange(5)}
            services = {"service": random.choice(("TCP", "UDP"))}
            first, second = sorted((next(moments), next(moments)))
            steps += [Step(first, "raw_open", fields | services), Step(second, "raw_close", fields)]
    # Text that is garbled at another rate keeps its length (docs/reliability.md).
    if random.random() < 0.1 and (settings.is_hex or not options.get("strict_baud")):
        for _ in range(random.choice((1, 1, 3))):
            kind, timeout = f"rate_{random.choice(CHANGED_RATES)}", random.choice((None, None, 1.0, 100.0))
            steps.append(Step(next(moments), "request", {"kind": kind, "timeout": timeout}))
    # Where the second line comes apart from the first it may be taken for the outcome of the next send; and the end of
    # text may look like a result.
    if plan.cut == "whole" and settings.is_hex and random.random() < 0.3:
        steps += [Step(next(moments), "double_line") for _ in range(random.choice((1, 2, 5)))]
    if random.random() < 0.2:
        numbers = [
            step.arguments["number"] for step in steps if step.verb == "connect" and step.arguments["service"] == "UDP"
        ]
        for _ in range(random.choice((1, 1, 2, 5)) if numbers else 0):
            lost: dict[str, Any] = {"number": random.choice(numbers), "state": random.choice((None, None, 0, 4))}
            steps.append(Step(next(moments), "forget", lost))
    if random.random() < 0.1:
        number, value = random.randrange(MOST_CONNECTIONS), {"name": "user_timeout", "value": 0.0}
        steps.append(Step(next(moments), "set_option", {"number": number} | value))
    limit = 115200 if random.random() < 0.2 else None
    steps.sort(key=lambda step: step.at)
    return replace(plan, settings=settings, options=options, steps=tuple(steps), port_limit=limit)


def _with_look_ups(plan: Plan, random: Random) -> Plan:
    """Add look-ups, pings and time requests whose outcomes are late or no addresses, and others right after them."""
    steps = list(plan.steps)
    length = max((step.at for step in steps), default=0.0)
    for _ in range(random.choice((0, 0, 0, 0, 0, 0, 1, 1, 1, 3))):
        start = round(random.uniform(0.0, length), 3)
        action, is_carried_out = random.choice((*[("error", True)] * 4, ("silence", True), ("late_outcome", False)))
        facility = random.choice((*["dns"] * 3, "ping", "ntp"))
        fault: dict[str, Any] = {
            "action": action,
            "match": FACILITIES[facility][0],
            "delay": random.choice((0.0, 0.3, 2.0, 8.0, 25.0, 50.0)),
            "times": random.choice((1, 1, 1, 2, 4)),
            "is_carried_out": is_carried_out,
        }
        if facility == "dns" and random.random() < 0.2:
            fault |= {"action": "junk", "data": random.choice(DNS_JUNK), "is_carried_out": False}
        steps.append(Step(start, "answer_fault", fault))
        for _ in range(random.choice((1, 2, 2, 3, 5))):
            moment = round(start + random.choice((0.0, 0.1, 1.0, 5.0, 20.0)) * random.random(), 3)
            kind, timeout = random.choice(FACILITIES[facility][1]), random.choice((None, None, 1.0, 10.0, 100.0))
            steps.append(Step(moment, "request", {"kind": kind, "timeout": timeout}))
    return replace(plan, steps=tuple(sorted(steps, key=lambda step: step.at)))


def _with_slow_sends(plan: Plan, random: Random) -> Plan:
    """Add sends that are carried out late, full send buffers, busy modules, and openings that are not told of."""
    options, steps = dict(plan.options), list(plan.steps)
    if random.random() < 0.15:
        options |= {"full_buffer": random.choice(("fail", "error", "553", "568")), "send_buffer": 2048}
    if random.random() < 0.2:
        options["last_error"] = "tell"
    length = max((step.at for step in steps), default=0.0)
    for _ in range(random.choice((0, 0, 0, 1, 1, 3)) if random.random() < 0.5 else 0):
        # Given up by TCP_USER_TIMEOUT, which is 20 s at the least, none of them costs anything.
        fault: dict[str, Any] = random.choice(
            (
                *[{"action": "slow", "match": SENDS, "delay": random.choice((1.0, 4.0, 6.0, 8.0, 12.0, 19.0))}] * 3,
                {"action": "slow", "match": SENDS, "delay": random.choice((8.0, 15.0)), "code": 568},
                {"action": "full", "match": SENDS, "delay": random.choice((0.5, 8.0, 12.0))},
                {"action": "refuse", "match": SENDS, "delay": random.choice((0.5, 8.0, 12.0)), "code": 568},
                {"action": "refuse", "match": r"QISEND|QIOPEN", "delay": random.choice((2.0, 12.0))},
                {"action": "refuse", "match": r"QIOPEN", "delay": random.choice((2.0, 12.0)), "code": 568},
                *[{"action": "mute", "match": r"QIOPEN"}] * 2,
                {"action": "silence", "match": r"QIOPEN"},
            )
        )
        nth = random.choice((1, 1, 1, 2, 3, 7))
        steps.append(Step(round(random.uniform(0.0, length), 3), "answer_fault", fault | {"nth": nth}))
    return replace(plan, options=options, steps=tuple(sorted(steps, key=lambda step: step.at)))


def _with_refused_look_ups(plan: Plan, random: Random) -> Plan:
    """Add look-ups that are refused for a time, or ignored, and that the module never tells the outcome of."""
    steps = list(plan.steps)
    length = max((step.at for step in steps), default=0.0)
    for _ in range(random.choice((1, 1, 1, 3)) if random.random() < 0.35 else 0):
        start = round(random.uniform(0.0, length), 3)
        action = random.choice(("refuse", "refuse", "refuse", "refuse", "silence", "silence", "mute"))
        fault: dict[str, Any] = {"action": action, "match": FACILITIES["dns"][0]}
        if action == "refuse":
            code = random.choice((None, None, None, 551, 561, 568, 570, 572, 50))
            fault |= {"delay": random.choice((0.5, 3.0, 8.0, MOST_REFUSED, 40.0)), "code": code}
        steps.append(Step(start, "answer_fault", fault))
        for _ in range(random.choice((1, 2, 3))):
            moment = round(start + random.choice((0.0, 1.0, 20.0)) * random.random(), 3)
            kind = random.choice(("resolve", "resolve", "resolve_other", "unknown_name"))
            steps.append(
                Step(moment, "request", {"kind": kind, "timeout": random.choice((None, None, None, 10.0, 100.0))})
            )
    return replace(plan, steps=tuple(sorted(steps, key=lambda step: step.at)))


def _with_endings(plan: Plan, random: Random) -> Plan:
    """Add what may follow a peer's close, and peers that answer and close in one breath, as servers do."""
    options = plan.options | random_endings(random)
    steps = list(plan.steps)
    for index, step in enumerate(steps):
        is_stream = step.verb == "connect" and step.arguments["service"] == "TCP"
        if is_stream and step.arguments["peer"] in ("sink", "echo", "closer") and random.random() < 0.3:
            steps[index] = replace(step, arguments=step.arguments | {"peer": random.choice(("server", "crasher"))})
    return replace(plan, options=options, steps=tuple(steps))


def _with_settings(plan: Plan, random: Random) -> Plan:
    """Add commands of the user's own that change settings, and lines of other firmware."""
    steps = list(plan.steps)
    length = max((step.at for step in steps), default=0.0)
    for _ in range(random.choice((0, 0, 0, 0, 1, 3))):
        steps.append(Step(round(random.uniform(0.0, length), 3), "own_setting", {"text": random.choice(OWN_SETTINGS)}))
    if plan.settings.is_hex and random.random() < 0.2:
        for _ in range(random.choice((1, 5, 20))):
            steps.append(Step(round(random.uniform(0.0, length), 3), "chatter", {"data": random.choice(CHATTER)}))
    return replace(plan, steps=tuple(sorted(steps, key=lambda step: step.at)))


def _with_losses(plan: Plan, random: Random) -> Plan:
    """Add restarts and other addresses that show in different ways, and connections with SO_KEEPALIVE."""
    steps = list(plan.steps)
    length = max((step.at for step in steps), default=0.0)
    for verb, share in (("restart_module", 0.1), ("readdress", 0.15)):
        for _ in range(random.choice((1, 1, 2)) if random.random() < share else 0):
            steps.append(Step(round(random.uniform(0.0, length), 3), verb))
    for index, step in enumerate(steps):
        if step.verb == "connect" and step.arguments["service"] == "TCP" and random.random() < 0.2:
            steps[index] = replace(step, arguments=step.arguments | {"keepalive": random.choice((1.0, 20.0, 60.0))})
    options = plan.options | random_signs(random)
    return replace(plan, options=options, steps=tuple(sorted(steps, key=lambda step: step.at)))


def _random_cut(random: Random) -> str:
    return random.choice(("whole", "whole", "pieces", "bytes", "slow"))


class _Writer:
    """Writes the steps of a plan."""

    def __init__(self, random: Random, settings: Settings, options: dict[str, Any]) -> None:
        self._random = random
        self._settings = settings
        self._options = options
        rate = options.get("baudrate") or 115200
        #: A slow line gets less to do.
        self._scale = 1.0 if rate >= 57600 else 0.25
        self._length = random.choice((2.0, 10.0, 40.0, 150.0))

    def steps(self) -> list[Step]:
        """Write them, in order of time."""
        random = self._random
        steps: list[Step] = []
        for number in range(random.choice((1, 1, 2, 3, 5, 6, MOST_CONNECTIONS))):
            steps += self._connection(number)
        for _ in range(random.choice((0, 0, 1, 3, 8))):
            steps.append(self._request())
        if random.random() < 0.85:
            for _ in range(random.choice((1, 1, 2, 3, 6))):
                steps += self._fault()
        if random.random() < 0.1:
            steps.append(Step(self._moment(), "restart_host"))
        return sorted(steps, key=lambda step: step.at)

    def _moment(self) -> float:
        return round(self._random.uniform(0.0, self._length), 3)

    def _size(self) -> int:
        return int(self._random.choice(SIZES) * self._scale) or 1

    # -- applications and their peers

    def _connection(self, number: int) -> list[Step]:
        random = self._random
        service = random.choice(("TCP", "TCP", "UDP"))
        start = self._moment() if random.random() < 0.6 else 0.0
        peers = ("sink", "echo", "greet", "flood", "closer", "refuse", "silent", "deaf")
        weights = (6, 6, 2, 1, 2, 0.7, 0.5, 1)
        peer = random.choices(peers, weights)[0] if service == "TCP" else random.choice(("sink", "echo", "greet"))
        first = Step(
            start,
            "connect",
            {
                "number": number,
                "service": service,
                "host": random.choice((f"10.0.0.{number + 1}", f"host{number}.example")),
                "local_port": random.choice((0, 0, 0, 0, 4000 + number)),
                "peer": peer,
                "nodelay": random.random() < 0.5,
                "rai": random.choice((0, 0, 0, 1, 2)),
                "user_timeout": random.choice((120.0, 120.0, 20.0)),
                "timeout": random.choice((None, None, None, 0.0, 3.0, 30.0)),
                "kind": random.choice(("random", "random", "traffic", "quotes", "digits")),
            },
        )
        steps = [first]
        for _ in range(random.choice((0, 1, 2, 4, 8, 12))):
            steps.append(self._act(number, service, start))
        if random.random() < 0.4:
            verb = random.choice(("close", "close", "close", "abort", "half_close"))
            moment = round(start + random.uniform(0.0, self._length), 3)
            linger = random.choice((0.0, 1.0, 10.0, 60.0))
            steps.append(Step(moment, verb, {"number": number} | ({} if verb == "abort" else {"linger": linger})))
        return steps

    def _act(self, number: int, service: str, start: float) -> Step:
        random = self._random
        moment = round(start + random.choice((0.0, 0.5, self._length)) * random.random(), 3)
        size = self._size()
        verb = random.choices(
            ("write", "peer_write", "peer_close", "peer_reset", "peer_deaf", "peer_listens", "set_option"),
            (10, 6, 0.7, 0.5, 0.5, 0.5, 0.5),
        )[0]
        if service == "UDP" and verb.startswith("peer_"):
            verb = "peer_write"
        if verb in ("write", "peer_write"):
            if service == "UDP":
                size = min(size, 512 if verb == "write" else 1024)
            return Step(moment, verb, {"number": number, "size": size})
        if verb == "set_option":
            choices = (("nodelay", 1), ("nodelay", 0), ("rai", 0), ("rai", 2), ("user_timeout", 30.0))
            name, value = random.choice(choices)
            return Step(moment, verb, {"number": number, "name": name, "value": value})
        return Step(moment, verb, {"number": number})

    def _request(self) -> Step:
        random = self._random
        kinds = ("resolve", "unknown_name", "info", "status", "csq", "sockets", "clock", "ping", "time", "attached")
        arguments = {"kind": random.choice(kinds), "timeout": random.choice((None, 0.05, 1.0, 10.0, 100.0))}
        if random.random() < 0.1:
            arguments["cancel_after"] = random.choice((0.0, 0.5, 3.0))
        return Step(self._moment(), "request", arguments)

    # -- what goes wrong

    def _fault(self) -> list[Step]:
        random = self._random
        moment = self._moment()
        kind = random.choices(
            ("answer_fault", "lose_bytes", "restart_module", "lose_registration", "lose_port", "stray", "break"),
            (10, 5, 1.5, 1, 1, 2, 1),
        )[0]
        if kind == "answer_fault":
            return [Step(moment, kind, self._answer_fault())]
        if kind == "lose_bytes":
            return [Step(moment, kind, self._byte_fault())]
        if kind == "restart_module":
            return [Step(moment, kind)]
        if kind == "stray":
            return [Step(moment, kind, {"data": random.choice(STRAY_LINES)})]
        if kind == "break":
            return [Step(moment, "break_connection", {"number": random.randrange(MOST_CONNECTIONS)})]
        back = round(moment + random.choice((0.0, 0.5, 5.0, 30.0)), 3)
        if kind == "lose_port":
            return [Step(moment, kind), Step(back, "open_port")]
        return [Step(moment, kind), Step(back, "register")]

    def _answer_fault(self) -> dict[str, Any]:
        random = self._random
        action, fields = random.choice(ANSWER_FAULTS)
        fields = {"action": action, "match": random.choice(TARGETS), **fields}
        if action in ("late", "late_final"):
            fields["delay"] = random.choice((0.5, 4.0, 5.5, 8.0, 12.0))
        if action == "result":
            fields["match"] = random.choice((r"AT\+QIOPEN", r"AT\+QIDNSGIP", r"AT\+QPING"))
            fields["delay"] = random.choice((0.0, 1.0))
        if action == "send_fail":
            fields["match"] = r"AT\+QISEND=\d,[1-9]"
        fields["nth"] = random.choice((1, 1, 1, 2, 3, 7))
        fields["times"] = random.choice((1, 1, 1, 1, 2, 4))
        return fields

    def _byte_fault(self) -> dict[str, Any]:
        random = self._random
        action = random.choice(("drop", "drop", "insert", "garble"))
        fault: dict[str, Any] = {
            "action": action,
            "direction": random.choice(("down", "down", "up")),
            "offset": random.choice((0, random.randrange(60), random.randrange(1500))),
        }
        if action == "insert":
            fault["data"] = random.choice((b"\0", b"\xff", b"5", b"A", b"\r\n", b"\r\nOK\r\n", random.randbytes(3)))
        else:
            fault["size"] = random.choice((1, 1, 1, 2, 3, 6))
        return fault
