"""What the pages of the device flow show (RFC 8628 §3.3). Plain values; the templates are in `templates/oauth/`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.oauth.consent_page import ScopeGroup
from kronborg.sessions.model import Visit


@dataclass(frozen=True, slots=True)
class DevicePage:
    """What `oauth/device.html` asks for: the code on the device. `code` fills the field in, and is not believed."""

    code: str
    person: Visit | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceConfirmPage:
    """What `oauth/device_confirm.html` asks: whether this is the device in front of the person.

    The form posts `csrf`, `user_code`, `request` and `decision` (`allow` or `deny`). `agent` is what the device calls
    itself, roughly; `elsewhere` says that it asked from another network than the person's.
    """

    code: str
    request: str
    client_name: str
    verified: bool
    person: Visit
    switch_url: str
    address: str
    agent: str | None
    elsewhere: bool
    asked_at: datetime
    now: datetime
    groups: tuple[ScopeGroup, ...]


@dataclass(frozen=True, slots=True)
class DeviceDonePage:
    """What `oauth/device_done.html` tells: go back to the device, or that nothing was given."""

    allowed: bool
