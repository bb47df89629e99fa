"""Whether a provider answers as a sign-in needs it: for administrators, who may know the reason."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.fetch import Fetcher
from kronborg.federation.id_tokens import keys_at
from kronborg.federation.model import Provider
from kronborg.federation.presets import known
from kronborg.federation.upstream import UpstreamRefused, endpoints_of


async def check_connection(fetcher: Fetcher, provider: Provider, *, now: datetime) -> str:
    """What is wrong; empty when discovery and keys are as they should be. No person is needed for it."""
    if provider.kind == "saml":
        return ""  # everything that can be known without a person was checked when it was saved
    try:
        endpoints = await endpoints_of(fetcher, known(provider), now=now, renew=True)
        if provider.kind == "oidc" and not await keys_at(fetcher, endpoints.jwks_uri, now=now, renew=True):
            return "the provider publishes no key that we take"
    except UpstreamRefused as refusal:
        return refusal.reason
    return ""
