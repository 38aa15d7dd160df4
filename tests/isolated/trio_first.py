"""trio was imported before the patch, and keeps C functions in closures; afterwards they are as they were."""

import trio

import nbsocket
from tests.isolated._trio_scenario import main


def cells() -> list[object]:
    kind = trio._socket._SocketType
    return [cell.cell_contents for name in ("recv", "recvfrom", "send") for cell in vars(kind)[name].__closure__]


before = cells()
with nbsocket.configure("sim://") as modem:
    nbsocket.patch()
    assert sum(now is not then for now, then in zip(cells(), before, strict=True)) == 3
    main()
    nbsocket.unpatch()
    assert all(now is then for now, then in zip(cells(), before, strict=True))
    assert len(modem.stats().connections) == 2
print("done")
