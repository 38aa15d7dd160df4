"""The commands of BC260Y-CN TCP/IP guide 1.1 §2.3."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._command import (
    CME_TEXTS,
    LATER,
    TCPIP_ERROR,
    Arguments,
    CommandHandler,
    Commands,
    Form,
    ResultError,
    by_model,
    constant,
)
from ._commands_tools import TOOLS, check_network
from ._input import DataMode
from ._sockets import MAX_SOCKETS, ManualSocketState, ModuleSocket

if TYPE_CHECKING:
    from ._models import SimulatedModel
    from ._module import Module

_SENT = {True: "SEND OK", False: "SEND FAIL"}
_PROMPTS = {"bare": b">", "blank": b"\r\n> ", "line": b"\r\n>\r\n"}


def _socket_id(arguments: Arguments, index: int) -> int:
    return arguments.number(index, 0, MAX_SOCKETS - 1)


# ---- QICFG §2.3.1


def set_qicfg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Query or set the data formats: both or none of them."""
    arguments = Arguments(tail, TCPIP_ERROR)
    name = arguments.text(0, 20).lower()
    if name in module.life.settings:
        return _set_setting(module, arguments, name)
    if name != "dataformat":
        raise arguments.fail()
    if len(arguments) == 1:
        return [f'+QICFG: "dataformat",{module.life.sends_hex:d},{module.life.receives_hex:d}']
    arguments.expect(3, 3)
    sends_hex, receives_hex = arguments.number(1, 0, 1), arguments.number(2, 0, 1)
    module.life.sends_hex, module.life.receives_hex = bool(sends_hex), bool(receives_hex)
    return []


def test_qicfg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell the settings there are."""
    return ['+QICFG: "dataformat",(0,1),(0,1)', *(f'+QICFG: "{name}",(0,1)' for name in module.life.settings)]


def _set_setting(module: Module, arguments: Arguments, name: str) -> Sequence[str]:
    """Query or set what siblings have: "viewmode", where received data stand, and "showlength"."""
    arguments.expect(1, 2)
    if len(arguments) == 1:
        return [f'+QICFG: "{name}",{module.life.settings[name]}']
    module.life.settings[name] = arguments.number(1, 0, 1)
    return []


# ---- QIOPEN §2.3.2, QICLOSE §2.3.3, QISTATE §2.3.4


def set_qiopen(module: Module, tail: str, now: float) -> Sequence[str]:
    """Open a socket; the outcome comes as a URC."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(5, 7)
    arguments.context_id(0, module.model)
    socket_id = _socket_id(arguments, 1)
    service = arguments.text(2, 3).upper()
    host = arguments.text(3, 150)
    remote_port = arguments.number(4, 1, 65535)
    local_port = arguments.number(5, 0, 65535, 0)
    access_mode = arguments.number(6, 0, 9, module.model.access_mode)
    if service not in ("TCP", "UDP") or access_mode not in module.model.access_modes:
        raise arguments.fail()
    check_network(module)
    if socket_id in module.sockets.table:
        return _open_in_use(module, socket_id, now)
    is_mute = module.faults.is_mute
    module.command.finish("OK", now)
    module.sockets.open(socket_id, service, host, remote_port, local_port, now, is_mute, access_mode)
    return LATER


def _open_in_use(module: Module, socket_id: int, now: float) -> Sequence[str]:
    if module.options.open_in_use == "error":
        raise ResultError(563)
    module.command.finish("OK", now)
    module.output.urc(f"+QIOPEN: {socket_id},563", now)
    return LATER


def set_qiclose(module: Module, tail: str, now: float) -> Sequence[str]:
    """Close a socket; CLOSE OK follows the OK."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(1, 1)
    socket_id = _socket_id(arguments, 0)
    entry = module.sockets.table.get(socket_id)
    is_closing = entry is not None and entry.state is ManualSocketState.CLOSING
    if entry is None:
        module.sockets.downlink.answer_close(socket_id)
    if is_closing or (entry is None and module.options.close_unopened == "error"):
        raise ResultError(567)
    module.command.finish("OK", now)
    if entry is None:
        module.timers.add(now + module.options.close_delay, lambda at: module.output.urc("CLOSE OK", at))
    else:
        module.sockets.close(entry, now)
    return LATER


def _state_line(module: Module, entry: ModuleSocket) -> str:
    rest = f",{module.model.context_id},{entry.access_mode}" if module.options.state_rows == "full" else ""
    return (
        f'+QISTATE: {entry.socket_id},"{entry.service}","{entry.host}",{entry.remote_port},{entry.local_port},'
        f"{entry.state:d}{rest}"
    )


def read_qistate(module: Module, tail: str, now: float) -> Sequence[str]:
    """List all sockets."""
    return [_state_line(module, entry) for _, entry in sorted(module.sockets.table.items())]


def set_qistate(module: Module, tail: str, now: float) -> Sequence[str]:
    """List the sockets of a context (0) or one socket (1)."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(2, 2)
    if arguments.number(0, 0, 1) == 0:
        arguments.context_id(1, module.model)
        return read_qistate(module, "", now)
    entry = module.sockets.table.get(_socket_id(arguments, 1))
    if entry is None and module.options.after_closed == "error":
        raise ResultError(567)
    return [] if entry is None else [_state_line(module, entry)]


# ---- QIGETERROR: not in the guide, siblings have it


def run_qigeterror(module: Module, tail: str, now: float) -> Sequence[str]:
    """Tell what the last error was."""
    if module.options.last_error == "unknown":
        raise ResultError(100)
    code, module.command.last_error = module.command.last_error, 0
    return [f'+QIGETERROR: {code},"{CME_TEXTS.get(code, "Operation successful")}"']


# ---- QISEND §2.3.5

_QISEND_RE = re.compile(r"\s*(\d{1,10})\s*,\s*(\d{1,10})\s*,(.*)", re.ASCII | re.DOTALL)


def set_qisend(module: Module, tail: str, now: float) -> Sequence[str]:
    """Send, in command mode or after a prompt, or query the acknowledgement."""
    match = _QISEND_RE.fullmatch(tail)
    if match is not None:
        return _send_inline(module, int(match.group(1)), int(match.group(2)), match.group(3), now)
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(1, 2)
    entry = _sending_socket(module, _socket_id(arguments, 0))
    if len(arguments) == 1:
        return _prompt(module, entry, None, now)
    size = arguments.number(1, 0, module.model.max_text_size)
    if size:
        return _prompt(module, entry, size, now)
    sent, acknowledged, unacknowledged = module.sockets.uplink.counts(entry, now)
    return [f"+QISEND: {sent},{acknowledged},{unacknowledged}"]


def _sending_socket(module: Module, socket_id: int) -> ModuleSocket:
    entry = module.sockets.table.get(socket_id)
    if entry is None:
        raise ResultError(567)
    return entry


def _send_inline(module: Module, socket_id: int, size: int, rest: str, now: float) -> Sequence[str]:
    if not socket_id < MAX_SOCKETS:
        raise ResultError(TCPIP_ERROR)
    data, rai = _read_hex(module, size, rest) if module.life.sends_hex else _read_text(module, size, rest)
    _send_read(module, socket_id, data, rai, now)
    return LATER


def _send_read(module: Module, socket_id: int, data: bytes, rai: int, now: float) -> None:
    entry = _sending_socket(module, socket_id)
    _check_sendable(module, entry)
    _check_room(module, entry, len(data), now)
    module.rai_modes.append(rai)
    _send(module, entry, data, now, needs_ok=True)


def _check_sendable(module: Module, entry: ModuleSocket) -> None:
    if module.options.send_closed == "error" and not module.sockets.uplink.can_send(entry):
        raise ResultError(567)


def _check_room(module: Module, entry: ModuleSocket, size: int, now: float) -> None:
    """Refuse a send while another one is being carried out, or when the buffer is full: as this firmware does."""
    if module.command.sends_refused is not None and now < module.command.sends_refused[0]:
        raise ResultError(module.command.sends_refused[1])
    refusal = module.options.full_buffer
    if refusal not in ("wait", "fail") and not module.sockets.uplink.has_room(entry, size, now):
        raise ResultError(None if refusal == "error" else int(refusal))


_SEND_HEX_RE = re.compile(r'\s*("?)([0-9A-Fa-f]*)\1\s*(?:,\s*([012])\s*)?', re.ASCII)
_TAIL_RE = re.compile(r"\s*(?:,\s*([012])\s*)?", re.ASCII)


def _read_hex(module: Module, size: int, rest: str) -> tuple[bytes, int]:
    match = _SEND_HEX_RE.fullmatch(rest)
    if match is None or not 1 <= size <= module.model.max_hex_size or len(match.group(2)) != 2 * size:
        raise ResultError(TCPIP_ERROR)
    return binascii.unhexlify(match.group(2)), int(match.group(3) or 0)


def _read_text(module: Module, size: int, rest: str) -> tuple[bytes, int]:
    """Read text of ``size`` characters: as it is between its quotes (§4.3.4), or with its quotes escaped (§4.2.4)."""
    if not 1 <= size <= module.model.max_text_size:
        raise ResultError(TCPIP_ERROR)
    body = rest.lstrip(" ")
    if not body.startswith('"'):
        data, _, tail = body.partition(",")
        match = _TAIL_RE.fullmatch("," + tail if tail else "")
        if match is None or len(data) != size:
            raise ResultError(TCPIP_ERROR)
        return data.encode("latin-1"), int(match.group(1) or 0)
    for candidate in (body[1:], body[1:].replace('\\"', '"')):
        match = _TAIL_RE.fullmatch(candidate[size + 1 :]) if candidate[size : size + 1] == '"' else None
        if match is not None:
            return candidate[:size].encode("latin-1"), int(match.group(1) or 0)
    raise ResultError(TCPIP_ERROR)


def _send(module: Module, entry: ModuleSocket, data: bytes, now: float, needs_ok: bool) -> None:
    """Hand over the payload, then SEND OK or SEND FAIL ends the command."""
    fault = module.faults.fails_send
    is_ok_first = module.options.send_fail == "ok"
    if needs_ok and is_ok_first:
        module.command.answer("OK", now)

    def done(is_taken: bool, at: float) -> None:
        is_good = is_taken and fault is None
        if needs_ok and is_good and not is_ok_first:
            module.command.answer("OK", at)
        module.command.after(module.options.send_delay, at, lambda then: module.command.finish(_SENT[is_good], then))

    if module.faults.slows_send is not None:
        _send_late(module, entry, data, now, needs_ok and not is_ok_first)
    elif fault is None or fault.is_carried_out:
        module.sockets.uplink.send(entry, data, now, done)
    else:
        done(False, now)


def _send_late(module: Module, entry: ModuleSocket, data: bytes, now: float, needs_ok: bool) -> None:
    """Say OK and be free for other commands; carry the send out later, and tell its outcome then."""
    fault = module.faults.slows_send
    assert fault is not None
    if needs_ok:
        module.command.answer("OK", now)
    if fault.code is not None:
        module.command.sends_refused = (now + fault.delay, fault.code)
    module.command.drop(now)

    def tell(is_taken: bool, at: float) -> None:
        module.output.urc(_SENT[is_taken], at)

    module.command.after(fault.delay, now, lambda at: module.sockets.uplink.send(entry, data, at, tell))


def _prompt(module: Module, entry: ModuleSocket, size: int | None, now: float) -> Sequence[str]:
    options = module.options
    _check_sendable(module, entry)
    _check_room(module, entry, size or 1, now)
    mode = DataMode(size, module.model.max_text_size, not options.strict, _payload_taker(module, entry))
    if options.ok_before_prompt:
        module.command.answer("OK", now)
    module.command.data_mode = mode

    def show(at: float) -> None:
        module.command.show_prompt(_PROMPTS[options.prompt], at)
        mode.prompt()

    module.command.after(options.prompt_delay, now, show)
    return LATER


def _payload_taker(module: Module, entry: ModuleSocket) -> Callable[[bytes | None, float], None]:
    def take(data: bytes | None, now: float) -> None:
        module.command.end_data_mode(now)
        if data is None:
            module.command.finish_error(571, now)
            return
        if data:
            _send(module, entry, data, now, needs_ok=not module.options.ok_before_prompt)
        else:
            module.command.finish("SEND FAIL", now)

    return take


# ---- what siblings have: QISENDEX, QIRD, QISWTMD (BC26 TCP/IP AT Commands Manual 1.1)


def set_qisendex(module: Module, tail: str, now: float) -> Sequence[str]:
    """Send hex digits, whatever the data format is."""
    match = _QISEND_RE.fullmatch(tail)
    if match is None or int(match.group(1)) >= MAX_SOCKETS:
        raise ResultError(TCPIP_ERROR)
    data, rai = _read_hex(module, int(match.group(2)), match.group(3))
    _send_read(module, int(match.group(1)), data, rai, now)
    return LATER


def set_qird(module: Module, tail: str, now: float) -> Sequence[str]:
    """Fetch received data that were not pushed."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(2, 2)
    entry = _sending_socket(module, _socket_id(arguments, 0))
    size = arguments.number(1, 1, module.model.max_report_size)
    data = bytes(entry.unread[:size])
    del entry.unread[:size]
    if not data:
        return ["+QIRD: 0"]
    rest = f",{len(entry.unread)}" if module.life.settings["showlength"] else ""
    text = module.life.data_separator + module.output.payload(data)
    return [f"+QIRD: {len(data)}{rest}" + text.decode("latin-1")]


def set_qiswtmd(module: Module, tail: str, now: float) -> Sequence[str]:
    """Change a socket's access mode."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(2, 2)
    entry = _sending_socket(module, _socket_id(arguments, 0))
    entry.access_mode = arguments.number(1, 0, 1)
    return []


_OF_SOME_MODELS: Commands = {
    "+QISENDEX": {Form.TEST: constant("+QISENDEX: (0-4),(1-512),<hex_string>"), Form.SET: set_qisendex},
    "+QIRD": {
        Form.TEST: by_model(lambda model: f"+QIRD: (0-4),(1-{model.max_report_size})"),
        Form.SET: set_qird,
    },
    "+QISWTMD": {Form.TEST: constant("+QISWTMD: (0-4),(0,1)"), Form.SET: set_qiswtmd},
}


def model_commands(model: SimulatedModel) -> Commands:
    """Return those commands of some models that this one has."""
    return {name: forms for name, forms in _OF_SOME_MODELS.items() if name in model.commands}


def _open_form(model: SimulatedModel) -> str:
    modes = ",".join(map(str, model.access_modes))
    return f'+QIOPEN: {model.contexts},(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,({modes})'


TCPIP: dict[str, dict[Form, CommandHandler]] = {
    "+QICFG": {
        Form.TEST: test_qicfg,
        Form.SET: set_qicfg,
    },
    "+QIOPEN": {
        Form.TEST: by_model(_open_form),
        Form.SET: set_qiopen,
    },
    "+QICLOSE": {Form.TEST: constant("+QICLOSE: (0-4)"), Form.SET: set_qiclose},
    "+QIGETERROR": {Form.EXECUTE: run_qigeterror},
    "+QISTATE": {
        Form.TEST: constant("+QISTATE: (0,1),(0-4)"),
        Form.READ: read_qistate,
        Form.SET: set_qistate,
        Form.EXECUTE: read_qistate,
    },
    "+QISEND": {
        Form.TEST: by_model(lambda model: f"+QISEND: (0-4),(0-{model.max_text_size}),<data>,<rai_mode>"),
        Form.SET: set_qisend,
    },
    **TOOLS,
}
