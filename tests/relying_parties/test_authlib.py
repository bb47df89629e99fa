"""Authlib's client drives a running identity process, and its models read what the server says of itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import ClientSecretJWT, JWTBearerGrant, PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from kronborg.clients.settings import ClientSettings
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.oauth.issuers import save_issuer
from kronborg.oauth.model import TrustedIssuerDraft
from relying_parties.running import API, CALLBACK, OTHER_API, PERSON, Identity, signing_key

VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"
BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def metadata(identity: Identity) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(
        f"{identity.issuer}/.well-known/oauth-authorization-server", trust_env=False
    ).json()
    return found


@contextmanager
def party(identity: Identity, client_id: str, secret: object = None, **more: Any) -> Iterator[Any]:
    """Authlib's client, knowing what the metadata say. Untyped, as Authlib is."""
    with OAuth2Client(
        client_id,
        secret,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=f"{identity.issuer}/oauth/token",
        trust_env=False,
        **more,
    ) as client:
        yield client


def tokens_of(identity: Identity, client: Any, **parameters: str) -> dict[str, Any]:
    """The code flow with PKCE, `parameters` at the token endpoint; the ID token is checked as Authlib does."""
    known = metadata(identity)
    url, state = client.create_authorization_url(known["authorization_endpoint"], code_verifier=VERIFIER, nonce="n-1")
    answer = identity.sign_in(url)
    tokens: dict[str, Any] = client.fetch_token(
        authorization_response=answer.headers["location"], state=state, code_verifier=VERIFIER, **parameters
    )
    keys = KeySet.import_key_set(httpx.get(known["jwks_uri"], trust_env=False).json())
    decoded = jwt.decode(tokens["id_token"], keys, algorithms=known["id_token_signing_alg_values_supported"])
    CodeIDToken(
        decoded.claims,
        decoded.header,
        {
            "iss": {"essential": True, "value": identity.issuer},
            "aud": {"essential": True, "value": client.client_id},
        },
        {"nonce": "n-1", "client_id": client.client_id, "access_token": tokens["access_token"]},
    ).validate(now=int(time.time()), leeway=5)
    return tokens


@pytest.mark.spec("RFC 8414 §2")
def test_rfc8414_2__the_metadata_stand_up_to_authlib(identity: Identity) -> None:
    server = metadata(identity)
    provider = httpx.get(f"{identity.issuer}/.well-known/openid-configuration", trust_env=False).json()
    # Authlib insists on https, which this process, on the loopback, does not speak.
    secure = json.loads(json.dumps(server).replace("http://localhost", "https://localhost"))

    AuthorizationServerMetadata(secure).validate()
    OpenIDProviderMetadata(secure).validate()

    assert provider == server


def test_a_person_signs_in_and_everything_about_the_tokens_works(identity: Identity) -> None:
    secret = identity.client("authlib-web", audiences=(API,))
    known = metadata(identity)
    with party(identity, "authlib-web", secret, scope="openid profile things:read") as client:
        tokens = tokens_of(identity, client, resource=known["userinfo_endpoint"])

        person = client.get(known["userinfo_endpoint"])
        refreshed = client.refresh_token(refresh_token=tokens["refresh_token"], resource=API)
        before = client.introspect_token(known["introspection_endpoint"], token=refreshed["access_token"])
        revoked = client.revoke_token(known["revocation_endpoint"], token=refreshed["refresh_token"])
        after = client.introspect_token(known["introspection_endpoint"], token=refreshed["access_token"])

    assert person.json()["preferred_username"] == PERSON
    assert (before.json()["active"], revoked.status_code, after.json()) == (True, 200, {"active": False})


def test_a_public_client_with_pkce(identity: Identity) -> None:
    identity.client("authlib-native", kind="public", auth_method="none")

    with party(identity, "authlib-native", scope="openid", token_endpoint_auth_method="none") as client:
        tokens = tokens_of(identity, client)

    assert tokens["token_type"] == "Bearer"


@pytest.mark.spec("RFC 10070 §2")
def test_private_key_jwt(identity: Identity) -> None:
    key, jwks = signing_key()
    identity.client("authlib-key", auth_method="private_key_jwt", jwks=jwks)
    sign = PrivateKeyJWT(
        claims={"aud": identity.issuer, "exp": int(time.time()) + 60},
        headers={"typ": "client-authentication+jwt", "kid": key["kid"]},
        alg="ES256",
    )

    with party(
        identity,
        "authlib-key",
        ECKey.import_key(key),
        scope="openid",
        token_endpoint_auth_method="private_key_jwt",
    ) as client:
        client.register_client_auth_method(sign)
        tokens = tokens_of(identity, client)

    assert tokens["access_token"]


@pytest.mark.spec("RFC 7523 §3")
def test_client_secret_jwt_as_older_clients_make_it(identity: Identity) -> None:
    secret = identity.client(
        "authlib-hmac",
        auth_method="client_secret_jwt",
        grants=("client_credentials",),
        redirect_uris=(),
        settings=ClientSettings(legacy_client_assertions=True),
    )

    with party(identity, "authlib-hmac", secret, token_endpoint_auth_method="client_secret_jwt") as client:
        client.register_client_auth_method(ClientSecretJWT(claims={"exp": int(time.time()) + 60}))
        tokens = client.fetch_token(grant_type="client_credentials", resource=API)

    assert tokens["scope"] == "things:read"


@pytest.mark.spec("RFC 8693 §2")
def test_a_token_is_traded_for_one_of_another_api(identity: Identity) -> None:
    identity.client("authlib-front", kind="public", auth_method="none", scopes=("openid", "things:read", "more:read"))
    trading = ClientSettings(exchange_audiences=(OTHER_API,), may_impersonate=True)
    secret = identity.client(
        "authlib-trader",
        grants=(EXCHANGE,),
        redirect_uris=(),
        audiences=(API,),
        scopes=("things:read", "more:read"),
        settings=trading,
    )
    with party(identity, "authlib-front", scope="openid things:read more:read") as client:
        url, state = client.create_authorization_url(
            metadata(identity)["authorization_endpoint"], code_verifier=VERIFIER
        )
        location = identity.sign_in(url).headers["location"]
        token = client.fetch_token(authorization_response=location, state=state, code_verifier=VERIFIER, resource=API)

    with party(identity, "authlib-trader", secret) as client:
        traded = client.fetch_token(
            grant_type=EXCHANGE,
            subject_token=token["access_token"],
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
            resource=OTHER_API,
        )

    assert traded["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert traded["scope"] == "more:read"


@pytest.mark.spec("RFC 7523 §2.1")
def test_an_assertion_of_a_trusted_issuer_is_traded(identity: Identity) -> None:
    key, jwks = signing_key()
    partner = "https://partner.example"
    draft = TrustedIssuerDraft("authlib-partner", partner, jwks=jwks)

    async def trust(database: Database) -> None:
        async with database.write() as session:
            await save_issuer(session, draft, own=identity.issuer, actor="test", now=clock.now())

    identity.work(trust)
    secret = identity.client(
        "authlib-bridge",
        grants=(BEARER,),
        redirect_uris=(),
        scopes=("things:read",),
        settings=ClientSettings(assertion_issuers=(draft.name,)),
    )
    assertion = JWTBearerGrant.sign(
        ECKey.import_key(key),
        issuer=partner,
        audience=identity.issuer,
        subject=PERSON,
        expires_at=int(time.time()) + 60,
        header={"alg": "ES256", "kid": key["kid"]},
    )

    with party(identity, "authlib-bridge", secret) as client:
        tokens = client.fetch_token(grant_type=BEARER, assertion=assertion, resource=API)

    assert (tokens["scope"], "refresh_token" in tokens) == ("things:read", False)
