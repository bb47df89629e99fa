"""A relying party learns that a session is over, and can prove that it was the issuer who said so."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode

import pytest

from e2e.node import node
from e2e.published import Published, publishing
from kronborg.clients.settings import ClientSettings
from relying_parties.running import CALLBACK, Identity, wait_until


@pytest.fixture
def party(identity: Identity) -> Iterator[Published]:
    """The web server of a relying party, with a certificate that the issuer trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = identity.log.parent
    context.load_cert_chain(folder / "own.pem", folder / "own.key")
    with publishing(context) as published:
        yield published


@pytest.mark.spec("OIDC Back-Channel Logout §2.6")
def test_a_logout_token_stands_up_to_jose(identity: Identity, party: Published) -> None:
    settings = ClientSettings(backchannel_logout_uri=f"{party.url}/logout", backchannel_logout_session_required=True)
    secret = identity.client("back-channel", settings=settings)
    wanted = {
        "flow": "authorize",
        "issuer": identity.issuer,
        "client_id": "back-channel",
        "method": "client_secret_basic",
        "secret": secret,
        "redirect_uri": CALLBACK,
        "scope": "openid",
    }
    with identity.signed_in() as browser:
        with node("relying_party", wanted) as program:
            location = browser.get(program.said()["authorize"]).headers["location"]
            program.tell(json.dumps({"url": location}))
            result = program.said()["result"]

        hint = urlencode({"id_token_hint": result["tokens"]["id_token"]})
        browser.get(f"{identity.issuer}/oauth/logout?{hint}")

    wait_until(lambda: bool(party.posted))
    [(path, body)] = party.posted
    [token] = parse_qs(body.decode())["logout_token"]
    asked = {"issuer": identity.issuer, "client_id": "back-channel", "token": token}
    with node("logout_token", asked) as program:
        claims = program.said()["claims"]
    assert path == "/logout"
    assert (claims["sid"], claims["sub"]) == (result["claims"]["sid"], result["claims"]["sub"])
    with node("logout_token", {**asked, "client_id": "somebody-else"}) as program:
        assert "failed" in program.said()
