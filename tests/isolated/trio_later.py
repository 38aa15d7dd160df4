"""trio is imported after the patch; unpatched, what it took does the genuine thing."""

import nbsocket

with nbsocket.configure("sim://") as modem:
    nbsocket.patch()
    import trio

    from tests.isolated._trio_scenario import main

    main()
    nbsocket.unpatch()

    async def pair() -> None:
        one, other = trio.socket.socketpair()
        with one, other:
            await one.send(b"x")
            assert await other.recvfrom(10) == (b"x", None)

    trio.run(pair)
print("done")
