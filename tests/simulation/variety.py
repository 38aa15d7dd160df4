"""Every kind of module and of settings that a plan may have."""

from __future__ import annotations

from random import Random
from typing import Any

from nbsocket._driver import Settings

#: Values of the module's options besides the default; each option is given one of them now and then.
QUIRKS: dict[str, tuple[Any, ...]] = {
    "firmware": ("A02",),
    "echo": (False,),
    "strict": (True,),
    "latency": (0.02, 0.3, 1.5, 6.0),
    "radio_rate": (200.0, 2000.0),
    "loss": (0.3,),
    "attached": (False,),
    "attach_delay": (0.5, 5.0, 30.0),
    "boot_time": (0.5, 8.0),
    "boot_noise": (True,),
    "boot_answer": ("nothing",),
    "registration": ("roaming",),
    "send_format": ("hex",),
    "receive_format": ("hex",),
    "orphans": (1, 3, 5),
    "cmee": (1, 2),
    "cereg": (1, 5),
    "sleep_delay": (1.5, 3.0),
    "wake_delay": (0.2, 1.8),
    "wake_answer": ("blank", "ERROR"),
    "sleep_events": (False,),
    "sleep_spelling": ("QNBIOTEVENT",),
    "idle_timeout": (20.0,),
    "answer_delay": (0.005, 0.1, 1.0),
    "prompt_delay": (0.01, 0.5),
    "send_delay": (0.02, 0.5, 2.0),
    "close_delay": (0.0, 2.0),
    "connect_timeout": (5.0,),
    "send_buffer": (2048,),
    "open_in_use": ("urc",),
    "port_busy": (556,),
    "busy_open": ("error", "568"),
    "close_unopened": ("ok",),
    "send_fail": ("bare",),
    "send_closed": ("error",),
    "prompt": ("bare", "line"),
    "ok_before_prompt": (True,),
    "data_mode_urcs": ("hold",),
    "colon_space": (False,),
    "extra_crlf": (True,),
    "hex_case": ("upper",),
    "quoted_payload": (False,),
    "cgpaddr_cid": (0, 1),
    "errors": ("plain",),
    "ntp_prefix": ("QNTTP", "QNTPT"),
    "ntp_time": ("long", "example"),
    "ping": ("lossy", "fail", "total"),
    "dns_quotes": (True,),
}

#: What follows the peer's close, drawn with dice of its own.
ENDINGS: dict[str, tuple[Any, ...]] = {
    "after_closed": ("initial", "remote", "forgotten", "error"),
    "closed_first": (0.0, 0.05, 0.5),
    "closed_twice": (True,),
}

#: How a restart, or another address, shows.
SIGNS: dict[str, tuple[Any, ...]] = {
    "boot_reports": ("no_rdy", "garbled", "noisy", "rom", "none"),
    "stores_settings": (True,),
    "context_reports": ("cgev", "pdpdeact"),
    "stores_echo": (True,),
}

#: Options that slow every command down: no two of them at a time, so that a run stays short.
RATES = (9600, 57600, 115200)


def random_options(random: Random, settings: Settings) -> dict[str, Any]:
    """Some of the quirks; half of the modules have few of them."""
    share = random.choice((0.0, 0.05, 0.15, 0.5))
    options = {name: random.choice(values) for name, values in QUIRKS.items() if random.random() < share}
    if "connect_timeout" in options and options.get("latency", 0.0) > 1.5:
        del options["connect_timeout"]
    options["seed"] = random.randrange(1 << 16)
    if random.random() < 0.3:
        options["baudrate"] = random.choice(RATES)
        options["strict_baud"] = random.random() < 0.5
    return options


#: How the module may be found: what other programs left, and what takes its time; drawn with dice of its own.
STARTS: dict[str, tuple[Any, ...]] = {
    "echo_stays": (True,),
    "results": ("numbers", "none"),
    "address_delay": (1.0, 15.0),
    "sim_busy": (5.0, 15.0),
    "radio_off": (True,),
    "cfun_time": (5.0, 30.0),
    "psm": (True,),
    "active_time": (2.0, 60.0),
    "state_rows": ("short",),
    "deaf_time": (1.0,),
}


def random_starts(random: Random, settings: Settings) -> dict[str, Any]:
    """Some of them, for one module in three."""
    share = random.choice((0.0, 0.0, 0.3))
    options = {name: random.choice(values) for name, values in STARTS.items() if random.random() < share}
    if not settings.is_hex:
        options.pop("echo_stays", None)  # told as an error: payload would come back, too
    if settings.power == "psm" and options.get("psm"):
        options["active_time"] = 60.0  # shorter than a round trip, even answers would wait for the next question
    return options


def random_signs(random: Random) -> dict[str, Any]:
    """Some of the signs, for two modules in three."""
    share = random.choice((0.0, 0.5, 0.9))
    return {name: random.choice(values) for name, values in SIGNS.items() if random.random() < share}


def random_endings(random: Random) -> dict[str, Any]:
    """Some of the endings, for one module in two."""
    share = random.choice((0.0, 0.5))
    return {name: random.choice(values) for name, values in ENDINGS.items() if random.random() < share}


def random_settings(random: Random) -> Settings:
    """How the driver is to use the module."""
    return Settings(
        data_format=random.choice(("hex", "hex", "raw")),
        apn=random.choice((None, None, None, "iot.example")),
        power=random.choice(("awake", "awake", "awake", "psm")),
        attach_timeout=random.choice((180.0, 180.0, 20.0)),
    )
