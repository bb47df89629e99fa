"""Browsers and devices as people read them, in the language of the page."""

from __future__ import annotations

from kronborg.core.languages import N_, translate

NAMELESS = (N_("Unknown browser"), N_("A device"))
"""What stands for a browser that does not say what it is; any other is a proper name."""


def device(text: str | None) -> str:
    """What `sessions.model.device_of` found, like `Firefox on Linux`, in the current language."""
    browser, _, system = (text or "").partition(" on ")
    browser = translate(browser) if browser in NAMELESS else browser
    return translate(N_("%(browser)s on %(system)s")) % {"browser": browser, "system": system} if system else browser
