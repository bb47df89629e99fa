"""An ACME server may come to a gateway elsewhere: its control plane knows the answer."""

from __future__ import annotations

import httpx
import pytest

from fleet.door_site import Site
from kronborg.edge import edge_app
from kronborg.gateway.quota_answers import Answers

pytestmark = pytest.mark.anyio
PATH = "/.well-known/acme-challenge/abcdefghijklmnopqrstuvwx"


@pytest.mark.spec("RFC 8555 §8.3")
async def test_a_challenge_is_answered_by_the_control_plane_and_nothing_else_is_asked_there(site: Site) -> None:
    link = await site.joined()
    app = edge_app(link, "e" * 40, Answers(site.folder / "answers"))
    headers = {"authorization": "Bearer mine", "x-kronborg-exchange": "guess"}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://edge.example") as http:
        told = await http.get(PATH, headers=headers)
        sent = await http.post(PATH)
        others = [(await http.get(path)).status_code for path in ("/config", "/standing", "/nothing")]

    assert told.status_code == 200
    assert "mine" not in told.text
    assert told.json()["x-kronborg-node"] == "berlin"
    assert sent.status_code == 404
    assert others == [404] * 3
    await link.close()
