"""The public conformance checks of `scim2-tester`, against the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server

from provisioning.scim_site import BASE, Scim

pytestmark = pytest.mark.anyio


class InLoop(BaseSyncSCIMClient):
    """The checks are synchronous: they run in a thread, their requests in the loop of the test."""

    def __init__(self, scim: Scim, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.scim, self.loop = scim, loop

    def _stays_under_base_url(self, endpoint: str) -> bool:
        return not endpoint.startswith("http") or endpoint.startswith(BASE)

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        address = url if url.startswith("http") else f"{BASE}/{url.lstrip('/')}"
        kwargs["headers"] = {**self.scim.headers, **(kwargs.get("headers") or {})}
        asked = self.scim.http.request(method, address, **kwargs)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(60)


@pytest.mark.timeout(300)  # some thousand requests
@pytest.mark.spec("RFC 7643 §8")
@pytest.mark.spec("RFC 7644 §3")
async def test_every_check_of_scim2_tester_passes(scim: Scim) -> None:
    client = InLoop(scim, asyncio.get_running_loop())

    results = await asyncio.to_thread(check_server, client)

    bad = [f"{one.status.name} {one.title}: {one.reason}" for one in results if one.status not in GOOD]
    assert bad == [], "\n".join(bad)
    assert sum(one.status == Status.SUCCESS for one in results) > 40


GOOD = (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED)
