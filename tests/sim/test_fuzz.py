"""Whatever the host, the peers and the faults do, the module neither fails nor spins, and forgets nothing it owes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nbsocket.sim import Fault, ModelNetwork
from nbsocket.sim._faults import ACTIONS
from tests.sim.bench import Bench

COMMANDS = [
    "AT",
    "ATE1",
    "AT+CFUN=0",
    "AT+CFUN=1",
    "AT+QRST=1",
    "AT+QSCLK=1",
    "AT+QSCLK=0",
    "AT+QISTATE?",
    'AT+QICFG="dataformat",1,1',
    'AT+QICFG="dataformat",0,0',
    'AT+QIOPEN=0,0,"TCP","a.example",1',
    'AT+QIOPEN=0,1,"UDP","203.0.113.1",2,5000',
    'AT+QIOPEN=0,2,"TCP","a.example",99',
    "AT+QICLOSE=0",
    "AT+QICLOSE=1",
    "AT+QISEND=0,0",
    "AT+QISEND=0,4",
    "AT+QISEND=1",
    'AT+QISEND=0,2,"4142"',
    'AT+QIDNSGIP=0,"a.example"',
    'AT+QPING=0,"a.example",1,2',
    'AT+QNTP=0,"a.example"',
    "AT+CGATT=0",
    "AT+CGATT=1",
    "AT+IPR=9600",
    'AT+QIOPEN=1,0,"TCP","a.example",1,0,1',
    'AT+QIOPEN=1,1,"UDP","203.0.113.1",2',
    'AT+QICFG="viewmode",1',
    'AT+QICFG="showlength",1',
    "AT+QISENDEX=0,2,4142",
    "AT+QIRD=1,100",
    "AT+QISWTMD=0,0",
    'AT+QIDNSGIP=1,"a.example"',
]

STEPS = st.one_of(
    st.sampled_from(COMMANDS).map(lambda line: line.encode() + b"\r"),
    st.binary(max_size=40),
    st.floats(0, 80).map(float),
    st.builds(
        Fault,
        action=st.sampled_from(sorted(ACTIONS)),
        delay=st.floats(0, 10),
        is_carried_out=st.booleans(),
        direction=st.sampled_from(["up", "down"]),
        offset=st.integers(0, 20),
        size=st.integers(1, 5),
        data=st.binary(max_size=5),
        socket_id=st.integers(0, 4),
        code=st.sampled_from([None, 50, 566]),
    ),
    st.sampled_from(["data", "close", "reset", "stall"]),
)


@settings(deadline=None, max_examples=150)
@given(
    steps=st.lists(STEPS, max_size=30),
    latency=st.sampled_from([0.0, 0.4]),
    baudrate=st.sampled_from([None, 9600]),
    strict=st.booleans(),
    model=st.sampled_from(["bc260y", "bc660k", "bc66"]),
)
def test_anything(
    steps: list[bytes | float | Fault | str], latency: float, baudrate: int | None, strict: bool, model: str
) -> None:
    network = ModelNetwork()
    network.refuse(99)
    bench = Bench(network, model=model, latency=latency, baudrate=baudrate, strict=strict, echo=True)
    for step in steps:
        if isinstance(step, bytes):
            bench.write(step)
        elif isinstance(step, float):
            run(bench, step)
        elif isinstance(step, Fault):
            bench.module.inject(step, bench.now)
        else:
            disturb(network, step)
    run(bench, 100.0)
    assert len(bench.module.sockets.table) <= 5
    assert revive(bench)


def run(bench: Bench, seconds: float) -> None:
    """As :meth:`Bench.run`, with a limit of steps: a deadline that never moves on would be an endless loop."""
    end = bench.now + seconds
    for _ in range(20_000):
        bench.read()
        deadline = bench.module.next_deadline()
        if deadline is None or deadline > end:
            break
        bench.now = max(bench.now, deadline)
        bench.module.handle_timeout(bench.now)
    else:
        raise AssertionError("the module does not come to rest")
    bench.now = end


def disturb(network: ModelNetwork, what: str) -> None:
    for peer in network.connections:
        if what == "data":
            peer.send(b"x" * 1500)
        elif what == "close" and peer.service == "TCP":
            peer.close()
        elif what == "reset" and peer.service == "TCP":
            peer.reset()
        elif what == "stall":
            peer.acknowledges = False


def revive(bench: Bench) -> bool:
    """Whatever state it is in, the module answers AT again after a restart."""
    bench.module.restart(bench.now)
    run(bench, 1.0)
    for _ in range(40):  # faults that still wait for a command, or for bytes
        output = bench.write(b"AT\r") + bench.run(20.0)
        if b"\r\nOK\r\n" in output:
            return True
    return False
