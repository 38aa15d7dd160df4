"""BC660K-GL and BC950K-GL, after the AT Commands Manual 1.4, the TCP/IP Application Note 1.1 and public drivers.

Never tried on hardware.
"""

from __future__ import annotations

from nbsocket._models._profile import Profile

__all__ = ["BC660K"]

BC660K = Profile(
    name="bc660k",
    models=("BC660K", "BC950K"),
    # Sources disagree: 512 or 1024 bytes as hex digits. 512 is safe with all.
    max_hex_send_size=512,
    # One segment of TCP, as seen on real boards.
    max_push_size=1400,
    # Push is the default, but stating it costs nothing, and an emulator of this model knows no default.
    states_access_mode=True,
    # viewmode 0, found on real boards, puts head and data on one line; 1, its opposite, may be stored in a modem that
    # another program has used. Both are read, so the setting is left alone.
    receive_shapes=("push", "push_next_line"),
)
