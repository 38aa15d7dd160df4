"""The modem's registration and address: waiting for them, and what a change of them means for the connections."""

from __future__ import annotations

from errno import ECONNRESET
from typing import TYPE_CHECKING

from nbsocket._at import IpAssigned, Registration
from nbsocket._driver._attach import Attached, attach
from nbsocket._driver._log_limit import INFO, WARNING
from nbsocket._driver._network import REGISTERED, NetworkState
from nbsocket._driver._script import Script
from nbsocket._errors import make_error

if TYPE_CHECKING:
    from nbsocket._driver._core import Core

__all__ = ["Attachment"]

#: Seconds for which somebody waits for the network before a warning says so.
WARNING_DELAY = 5.0


class Attachment:
    """Whether there is a network, and under which address."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.network = NetworkState()
        #: Waits for registration and address; None while both are there, or nobody can ask.
        self.script: Script[Attached] | None = None
        self._began = 0.0
        #: The modem's IP address, None while unknown.
        self.address: str | None = None
        #: The address that the connections were made under, while it is in question.
        self._address_before: str | None = None
        #: A warning has told that the network is not there.
        self._is_wait_told = False

    def forget(self) -> None:
        """The modem begins anew, or is not spoken to any more."""
        self.network.forget()
        self.script = self._address_before = None

    def begin(self, now: float) -> None:
        """Wait for registration and address."""
        self._began = now
        steps = attach(self.network, self._core.firmware.profile, self._core.settings.pin, self._core.settings.dns)
        self.script = Script(steps, (Registration, IpAssigned))
        self.script.start(now)

    def reap(self, now: float) -> bool:
        """Deal with a wait that has come to its end; return whether it has."""
        script = self.script
        if script is None or not script.is_done:
            return False
        self.script = None
        if script.value is None:
            self.begin(now)
        else:
            self._attached(script.value, now)
        return True

    def _attached(self, value: Attached, now: float) -> None:
        core = self._core
        address, server_trouble = value
        if server_trouble is not None:
            core.log(WARNING, f"the name servers are not set: {server_trouble}")
        self.network.is_attached = True
        self.address = address or self.address
        before, self._address_before = self._address_before, None
        if before is not None and _is_another(before, self.address):
            why = f"the module's address was {before} and is {self.address}"
            core.connections.reset_streams(make_error(ECONNRESET, why))
        is_news = core.connections.network_came(now, now - self._began)
        if self._is_wait_told:
            self._is_wait_told = False
            core.log(WARNING, f"the network is there after {now - self._began:.0f} s: {self.network.describe()}")
        if is_news:
            core.log(INFO, f"network: {self.network.describe()}, address {self.address}")

    def check_if_wanted(self, now: float) -> None:
        """Something failed as it does without a network: ask for registration and address."""
        shared = self._core.connections.shared
        if shared.wants_network_check:
            shared.wants_network_check = False
            if self.script is None:
                self.network.is_attached = False
                self.begin(now)

    # -- what the modem says

    def on_ip(self, event: IpAssigned, now: float) -> None:
        """``+IP: address`` came."""
        core = self._core
        if core.lifecycle.is_running and _is_another(self.address, event.address):
            self.suspect_bearer(f"its address is {event.address}", now)
        elif core.lifecycle.is_running and event.address == self.address:
            # The context is a new one, or this is all that came of what a boot says.
            core.lookout.suspect(f"it has got its address {event.address} again", now, may_be_restart=True)
        self.address = event.address
        if self.script is not None:
            self.script.offer(event, now)

    def on_registration(self, event: Registration, now: float) -> None:
        """``+CEREG: stat`` came."""
        core = self._core
        is_news = event.stat != self.network.stat
        if core.lifecycle.is_running:
            self.network.note(event)
        if self.script is not None:
            self.script.offer(event, now)
        elif core.lifecycle.is_running and is_news and event.stat in REGISTERED:
            core.log(INFO, f"network: {self.network.describe()}")
        elif core.lifecycle.is_running and is_news:
            core.log(WARNING, f"the network is lost: {self.network.describe()}")
            self._is_wait_told = True
            core.connections.network_gone()
            self.network.is_attached = False
            self.begin(now)

    def suspect_bearer(self, why: str, now: float) -> None:
        """The sockets may be gone; and where the address is another one, no stream can go on."""
        self._core.lookout.suspect(why, now)
        self._core.connections.network_gone()
        self._address_before = self._address_before or self.address
        if self.script is None:
            self.begin(now)

    @property
    def is_in_question(self) -> bool:
        """Whether a "closed" that comes now may be the network's doing and no peer's."""
        return self._address_before is not None or self.network.stat not in (None, *REGISTERED)

    # -- what is told of it

    @property
    def is_wanted(self) -> bool:
        """Whether an opening or a request waits until the network is there. Thread: any, for information."""
        return self._core.connections.table.is_anybody_queued or self._core.tasks.waits_for_network

    def warn(self, now: float) -> None:
        """Warn, once, of a network that somebody waits for and that does not come."""
        due = self.warning_due
        if due is not None and now >= due:
            self._is_wait_told = True
            self._core.log(WARNING, f"waiting for the network: {self.network.describe()}")

    @property
    def warning_due(self) -> float | None:
        """When that warning is due."""
        if self.script is None or self._is_wait_told or not self._core.lifecycle.is_running:
            return None
        return self._began + WARNING_DELAY if self.is_wanted else None

    def describe_wait(self) -> str | None:
        """Say in words what is waited for before anything can be sent; None where nothing is. Thread: any."""
        if not self._core.lifecycle.is_running:
            return self._core.lifecycle.describe_wait()
        is_there = self.network.is_attached or self.script is None
        return None if is_there else f"waiting for the network: {self.network.describe()}"

    def why_not(self) -> str:
        """Say why the network cannot be used."""
        if not self._core.lifecycle.is_running:
            return f"the module is not ready yet: {self.describe_wait() or 'its port is not open'}"
        return f"the module is not attached to the network: {self.network.describe()}"

    @property
    def trouble(self) -> str | None:
        """Why the network cannot be used, in words; None when nothing is known to be the matter."""
        network = self.network
        is_there = network.is_attached or (network.stat in REGISTERED and not network.lacks_address)
        return None if is_there else self.why_not()


def _is_another(before: str | None, address: str | None) -> bool:
    """Whether an address has taken the place of the one before, and not come beside it (IPv6 beside IPv4)."""
    if before is None or address is None or (":" in before) != (":" in address):
        return False
    return before != address
