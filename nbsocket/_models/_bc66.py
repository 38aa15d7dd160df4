"""BC66, BC66-NA, BC26 and BC25, after the BC26 TCP/IP AT Commands Manual 1.1 and public programs for them.

Never tried on hardware.
"""

from __future__ import annotations

from nbsocket._models._profile import Profile, ViewSetting

__all__ = ["BC66"]

BC66 = Profile(
    name="bc66",
    models=("BC66", "BC26", "BC25"),
    max_push_size=1440,
    # BC26's manual has addresses only, BC25's firmware takes names of up to 51 characters.
    max_host_size=50,
    opens_by_name=False,
    max_ping_size=200,
    # BC66 AT Commands Manual 1.0.
    radio_timeout=85.0,
    # The manuals have 1 to 3, of which BC66 has 1 only.
    context_id=1,
    states_access_mode=True,
    sends_extended=True,
    # Until bring-up has set the view, and whenever the modem has forgotten it, data stands on the next line.
    receive_shapes=("push", "push_next_line"),
    # With showlength 0 a BC25 leaves out the length, without which payload cannot be framed. viewmode 1 puts head and
    # data on one line here; on the BC660K it does the opposite.
    view_settings=(ViewSetting("showlength", 1), ViewSetting("viewmode", 1)),
    dns_answer="+QIURC",
    # No reply, the summary, broken off.
    ping_codes=((1, 569), (2, 0), (4, 550)),
    # As a BC25 does, with result 572.
    counts_only_after_send=True,
    # Only the pin PSM_EINT wakes it.
    wakes_by_uart=False,
)
