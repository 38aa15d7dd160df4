"""The commands of BC260Y-CN TCP/IP guide 1.1 §2.3."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._command import CME_TEXTS, LATER, TCPIP_ERROR, Arguments, CommandHandler, Form, ResultError, constant
from ._commands_tools import TOOLS, check_network
from ._input import MAX_DATA_SIZE, DataMode
from ._sockets import MAX_SOCKETS, ManualSocketState, ModuleSocket

if TYPE_CHECKING:
    from ._module import Module

MAX_HEX_SIZE = 512

_SENT = {True: "SEND OK", False: "SEND FAIL"}
_PROMPTS = {"bare": b">", "blank": b"\r\n> ", "line": b"\r\n>\r\n"}


def _socket_id(arguments: Arguments, index: int) -> int:
    return arguments.number(index, 0, MAX_SOCKETS - 1)


# ---- QICFG §2.3.1


def set_qicfg(module: Module, tail: str, now: float) -> Sequence[str]:
    """Query or set the data formats: both or none of them."""
    arguments = Arguments(tail, TCPIP_ERROR)
    if arguments.text(0, 20).lower() != "dataformat":
        raise arguments.fail()
    if len(arguments) == 1:
        return [f'+QICFG: "dataformat",{module.life.sends_hex:d},{module.life.receives_hex:d}']
    arguments.expect(3, 3)
    sends_hex, receives_hex = arguments.number(1, 0, 1), arguments.number(2, 0, 1)
    module.life.sends_hex, module.life.receives_hex = bool(sends_hex), bool(receives_hex)
    return []


# ---- QIOPEN §2.3.2, QICLOSE §2.3.3, QISTATE §2.3.4


def set_qiopen(module: Module, tail: str, now: float) -> Sequence[str]:
    """Open a socket; the outcome comes as a URC."""
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(5, 7)
    arguments.context_id(0)
    socket_id = _socket_id(arguments, 1)
    service = arguments.text(2, 3).upper()
    host = arguments.text(3, 150)
    remote_port = arguments.number(4, 1, 65535)
    local_port = arguments.number(5, 0, 65535, 0)
    if service not in ("TCP", "UDP") or arguments.number(6, 0, 9, 1) != 1:
        raise arguments.fail()
    check_network(module)
    if socket_id in module.sockets.table:
        return _open_in_use(module, socket_id, now)
    is_mute = module.faults.is_mute
    module.command.finish("OK", now)
    module.sockets.open(socket_id, service, host, remote_port, local_port, now, is_mute)
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
    rest = ",0,1" if module.options.state_rows == "full" else ""
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
        arguments.context_id(1)
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

_SEND_RE = re.compile(r"\s*(\d{1,10})\s*,\s*(\d{1,10})\s*,(.*)", re.ASCII | re.DOTALL)


def set_qisend(module: Module, tail: str, now: float) -> Sequence[str]:
    """Send, in command mode or after a prompt, or query the acknowledgement."""
    match = _SEND_RE.fullmatch(tail)
    if match is not None:
        return _send_inline(module, int(match.group(1)), int(match.group(2)), match.group(3), now)
    arguments = Arguments(tail, TCPIP_ERROR)
    arguments.expect(1, 2)
    entry = _sending_socket(module, _socket_id(arguments, 0))
    if len(arguments) == 1:
        return _prompt(module, entry, None, now)
    size = arguments.number(1, 0, MAX_DATA_SIZE)
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
    read = _read_hex if module.life.sends_hex else _read_text
    data, rai = read(size, rest)
    entry = _sending_socket(module, socket_id)
    _check_sendable(module, entry)
    _check_room(module, entry, len(data), now)
    module.rai_modes.append(rai)
    _send(module, entry, data, now, needs_ok=True)
    return LATER


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


_HEX_RE = re.compile(r'\s*("?)([0-9A-Fa-f]*)\1\s*(?:,\s*([012])\s*)?', re.ASCII)
_TAIL_RE = re.compile(r"\s*(?:,\s*([012])\s*)?", re.ASCII)


def _read_hex(size: int, rest: str) -> tuple[bytes, int]:
    match = _HEX_RE.fullmatch(rest)
    if match is None or not 1 <= size <= MAX_HEX_SIZE or len(match.group(2)) != 2 * size:
        raise ResultError(TCPIP_ERROR)
    return binascii.unhexlify(match.group(2)), int(match.group(3) or 0)


def _read_text(size: int, rest: str) -> tuple[bytes, int]:
    """Read text of ``size`` characters: as it is between its quotes (§4.3.4), or with its quotes escaped (§4.2.4)."""
    if not 1 <= size <= MAX_DATA_SIZE:
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
    mode = DataMode(size, not options.strict, _payload_taker(module, entry))
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


TCPIP: dict[str, dict[Form, CommandHandler]] = {
    "+QICFG": {
        Form.TEST: constant('+QICFG: "dataformat",(0,1),(0,1)'),
        Form.SET: set_qicfg,
    },
    "+QIOPEN": {
        Form.TEST: constant('+QIOPEN: (0-11),(0-4),"TCP/UDP",<host>,<remote_port>,<local_port>,(1)'),
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
    "+QISEND": {Form.TEST: constant("+QISEND: (0-4),(0-1024),<data>,<rai_mode>"), Form.SET: set_qisend},
    **TOOLS,
}
