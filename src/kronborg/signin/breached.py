"""Ask a service whether a password has been seen in a leak, without telling it which (k-anonymity).

It is sent the first five of the forty digits of the password's SHA-1, and answers all endings that it knows with them,
some made up (padding), so that neither it nor the network learns more. Whoever cannot be asked, or not in time, knows
of nothing: people are not kept waiting for somebody else's service.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress

from kronborg.core.fetch import Fetcher, Unreachable

PATIENCE = 2.0
"""Seconds."""


async def is_breached(fetcher: Fetcher, url: str, password: str) -> bool:
    """Whether the service at `url` (the prefix is put behind it) has seen this password."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    prefix, ending = digest[:5], digest[5:]
    with suppress(Unreachable, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            answer = await fetcher.get(url + prefix, accept=("text/plain",), headers={"add-padding": "true"})
        for line in answer.body.decode("ascii", "replace").splitlines():
            found, _, count = line.strip().partition(":")
            # Padding counts zero.
            if found.upper() == ending and count.strip().isdecimal():
                return int(count.strip()[:12]) > 0
    return False
