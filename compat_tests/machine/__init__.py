"""nbsocket on Linux's own serial drivers, in a virtual machine: ``python -m compat_tests.machine``.

A pseudo-terminal takes any baud rate, never breaks, keeps no UART busy and is never unplugged by a bus. Here the guest
has what a board has: a 16550A UART (8250) and a USB adapter (FTDI, ftdi_sio), and behind each of them the simulated
module on the host.

    guest: nbsocket -> ttyS1  -> 8250     -> QEMU -+- pty -- Gate -- nbsocket.sim   (host)
                       ttyUSB0 -> ftdi_sio -> QEMU -+

- ``_image`` makes kernel and root file system once, outside the checkout; ``_overlay`` packs the checkout.
- ``_qemu`` runs the machine and speaks QMP, the protocol by which devices are plugged and unplugged.
- ``_gate`` carries the bytes between QEMU's pty and the simulated module, tells the module at which rate the guest's
  driver really speaks (while the rates differ both ends see garbage), and can be silent, or stop taking bytes.
- ``_host`` does what the tests ask for; ``guest`` and ``_guest_tests`` run in the machine.

Not collected by pytest: it wants root (debootstrap) and minutes.
"""
