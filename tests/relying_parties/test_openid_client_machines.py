"""openid-client where nobody sits in front of it: clients that act for themselves, and resource servers."""

from __future__ import annotations

import pytest

from e2e.node import node
from kronborg.clients.settings import ClientSettings
from relying_parties.running import API, OTHER_API, Identity, encryption_key, result_of, signing_key
from token_site import claims_of

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


@pytest.mark.spec("RFC 7523 §2.2")
@pytest.mark.parametrize(
    "method", ["client_secret_jwt", "private_key_jwt", "client_secret_basic", "client_secret_post"]
)
def test_ways_to_authenticate(identity: Identity, method: str) -> None:
    key, jwks = signing_key()
    client_id = method.replace("_", "-")
    secret = identity.client(
        client_id,
        auth_method=method,
        grants=("client_credentials",),
        redirect_uris=(),
        jwks=jwks if method == "private_key_jwt" else None,
        audiences=(API,),
    )
    wanted = {
        "flow": "machine",
        "issuer": identity.issuer,
        "client_id": client_id,
        "method": method,
        "secret": secret,
        "key": key,
        "parameters": {"scope": "things:read", "resource": API},
        "introspect": True,
    }

    with node("relying_party", wanted) as party:
        result = result_of(party)

    assert result["introspection"]["active"] is True
    assert result["introspection"]["client_id"] == client_id


@pytest.mark.spec("RFC 9701 §5")
@pytest.mark.parametrize("encrypted", [False, True])
def test_introspection_answers_as_jwt(identity: Identity, encrypted: bool) -> None:
    key, jwks = encryption_key()
    client_id = "jwt-introspection" + ("-encrypted" if encrypted else "")
    settings = ClientSettings(
        introspection_signed_response_alg="ES256",
        introspection_encrypted_response_alg="ECDH-ES" if encrypted else None,
        introspection_encrypted_response_enc="A256GCM" if encrypted else None,
    )
    secret = identity.client(
        client_id,
        settings=settings,
        grants=("client_credentials",),
        redirect_uris=(),
        audiences=(API,),
        jwks=jwks if encrypted else None,
    )
    wanted = {
        "flow": "machine",
        "issuer": identity.issuer,
        "client_id": client_id,
        "method": "client_secret_basic",
        "secret": secret,
        "metadata": {"introspection_signed_response_alg": "ES256"},
        "signed": True,
        "decryption": key if encrypted else None,
        "enc": "A256GCM",
        "parameters": {"resource": API},
        "introspect": True,
    }

    with node("relying_party", wanted) as party:
        result = result_of(party)

    assert result["introspection"]["active"] is True
    [answer] = [request for request in result["requests"] if request["path"] == "/oauth/introspect"]
    assert answer["type"] == "application/token-introspection+jwt"


@pytest.mark.spec("RFC 8693 §2")
def test_a_service_trades_its_own_token_for_a_bound_one(identity: Identity) -> None:
    trading = ClientSettings(exchange_audiences=(OTHER_API,), may_impersonate=True)
    secret = identity.client(
        "trader",
        grants=(EXCHANGE, "client_credentials"),
        redirect_uris=(),
        scopes=("things:read", "more:read"),
        settings=trading,
    )
    mine = {"issuer": identity.issuer, "client_id": "trader", "method": "client_secret_basic", "secret": secret}
    with node("relying_party", {**mine, "flow": "machine", "parameters": {"resource": API}}) as party:
        token = result_of(party)["tokens"]["access_token"]
    parameters = {
        "subject_token": token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "resource": OTHER_API,
    }

    with node("relying_party", {**mine, "flow": "exchange", "parameters": parameters, "dpop": True}) as party:
        traded = result_of(party)["tokens"]

    claims = claims_of(traded["access_token"])
    assert (claims["aud"], claims["act"]) == (OTHER_API, {"sub": "trader"})
    assert traded["token_type"] == "dpop"
    assert set(claims["cnf"]) == {"jkt"}
