"""Options from Python, URLs and command lines."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import pytest

from nbsocket.sim import Options


def test_defaults() -> None:
    assert Options.from_url("sim://") == Options.from_query("") == Options()


def test_a_url() -> None:
    url = (
        "sim://?latency=0.3&baudrate=115200&firmware=A02&host=broker.example=127.0.0.1:8883&host=*.x:80=refused"
        "&strict-baud=yes&radio_rate=none&dns=a.example=203.0.113.4&ping_times=0.1,0.2&dns_servers=1.1.1.1,,::1"
    )
    options = Options.from_url(url)
    assert options == Options(
        latency=0.3,
        baudrate=115200,
        firmware="A02",
        hosts={"broker.example": "127.0.0.1:8883", "*.x:80": "refused"},
        strict_baud=True,
        dns={"a.example": "203.0.113.4"},
        ping_times=(0.1, 0.2),
        dns_servers=("1.1.1.1", "", "::1", ""),
    )


def test_a_command_line() -> None:
    parser = argparse.ArgumentParser()
    Options.add_arguments(parser)
    texts = ["--latency", "0.3", "--host", "a=127.0.0.1", "--host", "b=refused", "--strict", "--echo", "no"]
    options = Options.from_namespace(parser.parse_args(texts))
    assert options == Options(latency=0.3, hosts={"a": "127.0.0.1", "b": "refused"}, strict=True, echo=False)
    assert Options.from_namespace(parser.parse_args([])) == Options()
    assert "(default: ())" not in parser.format_help()


def test_every_option_can_be_given_as_text() -> None:
    for row in dataclasses.fields(Options):
        if row.default is dataclasses.MISSING:
            continue
        default = row.default
        text = ",".join(str(item) for item in default) if isinstance(default, tuple) else str(default)
        assert Options.from_texts([(row.name, text)]) == Options(), row.name
        assert row.metadata["help"], row.name


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("nonsense=1", "unknown simulator option 'nonsense'"),
        ("latency=-1", "'latency' must be a number of 0 or more, not -1"),
        ("latency=inf", "'latency' must be"),
        ("latency=nan", "'latency' must be"),
        ("latency=soon", "'latency' must be a number of 0 or more, not 'soon'"),
        ("baudrate=12", "'baudrate' must be an integer of 300 to 4000000, or none, not 12"),
        ("baudrate=9600.5", "'baudrate' must be an integer"),
        ("firmware=A04", "'firmware' must be one of A02, A03, not 'A04'"),
        ("echo=maybe", "'echo' must be yes or no, not 'maybe'"),
        ("imei=1", "'imei' must be 15 digits"),
        ("address=here", "'address' must be an IPv4 or IPv6 address"),
        ("host=broker", "'hosts' must be NAME=VALUE, not 'broker'"),
        ("host=broker=198.51.100.1", "may only lead to a loopback address"),
        ("host=broker=broker2", "may only lead to a loopback address"),
        ("host=broker=127.0.0.1:99999", "needs a port of 1 to 65535"),
        ("host=broker:http=127.0.0.1", "needs a port of 1 to 65535"),
        ("host=broker:80=unknown", "cannot make a name unknown for one port only"),
        ("dns=broker=here", "needs an IP address"),
        ("dns_servers=1.1.1.1,x", "'dns_servers' must be 4 IP addresses"),
        ("port_busy=560", "must be 556 or 574"),
        ("ping_times=a", "'ping_times' must be seconds"),
        ("latency", "must be name=value"),
    ],
)
def test_what_is_wrong_is_said(query: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        Options.from_query(query)
    assert words in str(caught.value)


@pytest.mark.parametrize("values", [{"echo": 1}, {"latency": "1"}, {"baudrate": True}, {"hosts": []}, {"seed": -1}])
def test_values_are_checked_in_python_too(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="simulator option"):
        Options(**values)


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="sim://"):
        Options.from_url("http://x")


def test_names_of_commands() -> None:
    assert Options.from_url("sim://?unknown_commands=%2Bcesq,QENG").unknown_commands == ("CESQ", "QENG")
    with pytest.raises(ValueError, match="'unknown_commands' must be names of commands"):
        Options.from_url("sim://?unknown_commands=AT%2BCESQ?")
