"""Whether the gateway took what was just published, for the commands that publish."""

from __future__ import annotations

import asyncio

from kronborg.config import Settings
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.model import Delivery
from kronborg.gateway.store import find_delivery
from kronborg.server import port_is_free

PATIENCE = 5.0
"""Seconds to wait for the word of a running gateway."""
_AGAIN = 0.05


async def word_of_the_gateway(settings: Settings, installation: Installation, version: int) -> Delivery | None:
    """What a proxy said to `version`; None when none says anything, for instance because nothing runs here."""
    loop = asyncio.get_running_loop()
    running = not port_is_free(settings.control.host, settings.control.port)
    deadline = loop.time() + (PATIENCE if running else 0)
    while True:
        async with installation.database.read() as session:
            said = await find_delivery(session, version)
        if said is not None or loop.time() >= deadline:
            return said
        await asyncio.sleep(_AGAIN)


def told(said: Delivery | None, version: int) -> str:
    """The same for people."""
    if said is None:
        return f"Applied as snapshot {version}; no gateway has taken it yet."
    if said.status == "acked":
        return f"Applied; the gateway runs version {version}."
    return f"Applied, but the gateway refuses snapshot {version} and stays on the one before:\n    {said.reason}"
