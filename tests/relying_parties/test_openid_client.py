"""openid-client, written by others, drives every flow it knows against a running identity process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from client_certificates import certify
from e2e.node import Node, node
from forms import forms_of
from kronborg.clients.settings import ClientSettings
from kronborg.core import clock
from kronborg.oauth.mtls import thumbprint
from relying_parties.running import CALLBACK, PERSON, Identity, encryption_key, result_of, signing_key
from token_site import claims_of

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"
CODE_ID_TOKEN = ClientSettings(response_types=("code", "code id_token"))


def finish(identity: Identity, party: Node) -> dict[str, Any]:
    """Walk the person through what the relying party asks for; its result."""
    started = party.said()
    assert "authorize" in started, started
    answer = identity.sign_in(started["authorize"])
    if answer.is_redirect:
        party.tell(json.dumps({"url": answer.headers["location"]}))
    else:
        [form] = forms_of(answer)
        party.tell(json.dumps({"url": form.action, "form": form.fields}))
    return result_of(party)


def authorize(identity: Identity, client_id: str, **wanted: object) -> dict[str, Any]:
    """The whole code flow as `wanted` says."""
    usual: Mapping[str, object] = {
        "flow": "authorize",
        "issuer": identity.issuer,
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid profile things:read",
    }
    with node("relying_party", {**usual, **wanted}) as party:
        return finish(identity, party)


@pytest.mark.spec("RFC 9126 §2")
def test_pushed_authorization_requests(identity: Identity) -> None:
    secret = identity.client("par", settings=ClientSettings(require_pushed_authorization_requests=True))

    result = authorize(identity, "par", method="client_secret_basic", secret=secret, request="par")

    assert result["claims"]["aud"] == "par"
    assert ["/oauth/par", 201] in [[request["path"], request["status"]] for request in result["requests"]]


@pytest.mark.spec("RFC 9101 §5")
@pytest.mark.parametrize("request_by", ["jar", "jar+par"])
def test_signed_request_objects(identity: Identity, request_by: str) -> None:
    key, jwks = signing_key()
    client_id = "jar" if request_by == "jar" else "jar-par"
    identity.client(
        client_id,
        auth_method="private_key_jwt",
        jwks=jwks,
        settings=ClientSettings(require_signed_request_object=True, request_object_signing_alg="ES256"),
    )

    result = authorize(identity, client_id, method="private_key_jwt", key=key, request=request_by)

    assert result["claims"]["aud"] == client_id


def test_authorization_responses_as_jwt(identity: Identity) -> None:
    settings = ClientSettings(authorization_signed_response_alg="ES256")
    secret = identity.client("jarm", settings=settings)

    result = authorize(identity, "jarm", method="client_secret_basic", secret=secret, response="jwt", signed=True)

    assert result["claims"]["aud"] == "jarm"


@pytest.mark.spec("OIDC Core §3.3")
@pytest.mark.parametrize("mode", ["fragment", "form_post"])
def test_hybrid_responses(identity: Identity, mode: str) -> None:
    client_id = f"hybrid-{mode.replace('_', '-')}"
    secret = identity.client(client_id, settings=CODE_ID_TOKEN, grants=("authorization_code", "implicit"))

    result = authorize(
        identity,
        client_id,
        method="client_secret_basic",
        secret=secret,
        response="code id_token",
        parameters={"response_type": "code id_token", "response_mode": mode},
    )

    assert result["claims"]["aud"] == client_id


@pytest.mark.spec("OIDC Core §3.2")
def test_id_tokens_from_the_front_channel(identity: Identity) -> None:
    settings = ClientSettings(response_types=("id_token",))
    identity.client("implicit", settings=settings, kind="public", auth_method="none", grants=("implicit",))

    result = authorize(
        identity,
        "implicit",
        method="none",
        response="id_token",
        scope="openid",
        parameters={"response_type": "id_token", "response_mode": "form_post"},
    )

    assert result["claims"]["iss"] == identity.issuer


@pytest.mark.spec("RFC 9449 §5")
@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
def test_tokens_bound_to_a_key(identity: Identity, method: str) -> None:
    client_id = f"dpop-{method.replace('_', '-')}"
    kind = "public" if method == "none" else "confidential"
    settings = ClientSettings(dpop_bound_access_tokens=True)
    secret = identity.client(client_id, settings=settings, kind=kind, auth_method=method)

    result = authorize(
        identity, client_id, method=method, secret=secret, dpop=True, scope="openid profile", userinfo=True
    )

    assert result["tokens"]["token_type"] == "dpop"
    assert result["userinfo"]["preferred_username"] == "ophelia"
    assert result["refreshed"]["token_type"] == "dpop"


@pytest.mark.spec("RFC 9449 §8")
def test_a_nonce_that_is_asked_for_is_sent(identity: Identity) -> None:
    settings = ClientSettings(dpop_bound_access_tokens=True, require_dpop_nonce=True)
    secret = identity.client("dpop-nonce", settings=settings)

    result = authorize(identity, "dpop-nonce", method="client_secret_basic", secret=secret, dpop=True)

    asked = [request["status"] for request in result["requests"] if request["path"] == "/oauth/token"]
    assert asked == [400, 200, 200]


@pytest.mark.spec("OIDC Core §10.2")
def test_encrypted_id_tokens_and_userinfo(identity: Identity) -> None:
    key, jwks = encryption_key()
    settings = ClientSettings(
        id_token_encrypted_response_alg="ECDH-ES",
        id_token_encrypted_response_enc="A256GCM",
        userinfo_signed_response_alg="ES256",
        userinfo_encrypted_response_alg="ECDH-ES",
        userinfo_encrypted_response_enc="A256GCM",
    )
    secret = identity.client("encrypted", settings=settings, jwks=jwks)

    result = authorize(
        identity,
        "encrypted",
        method="client_secret_basic",
        secret=secret,
        decryption=key,
        enc="A256GCM",
        scope="openid profile",
        userinfo=True,
        metadata={"userinfo_signed_response_alg": "ES256"},
    )

    assert len(result["tokens"]["id_token"].split(".")) == 5
    assert result["userinfo"]["preferred_username"] == "ophelia"


@pytest.mark.spec("RFC 8628 §3")
@pytest.mark.parametrize("bound", [False, True])
def test_a_device_without_a_browser(identity: Identity, bound: bool) -> None:
    client_id = "tv-bound" if bound else "tv"
    identity.client(
        client_id,
        kind="public",
        auth_method="none",
        grants=(DEVICE, "refresh_token"),
        redirect_uris=(),
        settings=ClientSettings(dpop_bound_access_tokens=bound),
    )
    wanted = {
        "flow": "device",
        "issuer": identity.issuer,
        "client_id": client_id,
        "method": "none",
        "dpop": bound,
        "parameters": {"scope": "openid profile"},
    }

    with node("relying_party", wanted) as party, identity.signed_in() as browser:
        started = party.said()["device"]
        page = browser.get(started["verification_uri"])
        [form] = [form for form in forms_of(page) if "user_code" in form.fields]
        done = browser.decide(browser.submit(page, form, {"user_code": started["user_code"]}), "allow")
        party.tell(done.url.path)
        result = result_of(party)

    assert result["claims"]["aud"] == client_id
    assert result["tokens"]["token_type"] == ("dpop" if bound else "bearer")


@pytest.mark.spec("CIBA §7")
def test_a_person_who_is_asked_elsewhere(identity: Identity) -> None:
    secret = identity.client("till", grants=(CIBA,), redirect_uris=())
    wanted = {
        "flow": "ciba",
        "issuer": identity.issuer,
        "client_id": "till",
        "method": "client_secret_basic",
        "secret": secret,
        "parameters": {"scope": "openid profile", "login_hint": PERSON, "binding_message": "till 7"},
    }

    with node("relying_party", wanted) as party, identity.signed_in() as browser:
        assert party.said()["ciba"]["auth_req_id"]
        listed = browser.get(f"{identity.issuer}/account/requests")
        [place] = set(re.findall(r'href="(/account/requests/[^"]+)"', listed.text))
        done = browser.decide(browser.get(identity.issuer + place), "allow")
        party.tell(done.url.path)
        result = result_of(party)

    assert result["claims"]["aud"] == "till"


@pytest.mark.spec("JARM §2.2")
@pytest.mark.parametrize("mode", ["query.jwt", "form_post.jwt"])
def test_encrypted_authorization_responses(identity: Identity, mode: str) -> None:
    key, jwks = encryption_key()
    client_id = f"jarm-{mode.replace('_', '-').replace('.', '-')}"
    settings = ClientSettings(
        authorization_signed_response_alg="ES256",
        authorization_encrypted_response_alg="ECDH-ES",
        authorization_encrypted_response_enc="A256GCM",
    )
    secret = identity.client(client_id, settings=settings, jwks=jwks)

    result = authorize(
        identity,
        client_id,
        method="client_secret_basic",
        secret=secret,
        response="jwt",
        decryption=key,
        enc="A256GCM",
        parameters={"response_mode": mode},
    )

    assert result["claims"]["aud"] == client_id


@pytest.mark.spec("RFC 8705 §2")
@pytest.mark.parametrize("method", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_clients_with_certificates(identity: Identity, method: str) -> None:
    client_id = method.replace("_", "-")
    by = identity.authority if method == "tls_client_auth" else None
    own = certify(f"CN={client_id}", clock.now(), by=by)
    settings = ClientSettings(tls_client_certificate_bound_access_tokens=True)
    if by is not None:
        settings = replace(settings, tls_client_auth_subject_dn=f"CN={client_id}")
    jwks = None if by else {"keys": [own.jwk]}
    identity.client(client_id, auth_method=method, settings=settings, jwks=jwks)
    identity.wait_until_trusted(own)

    result = authorize(
        identity,
        client_id,
        method=method,
        request="par",
        metadata={"use_mtls_endpoint_aliases": True, "tls_client_certificate_bound_access_tokens": True},
        tls={"cert": own.pem.decode(), "key": own.key_pem.decode(), "ca": identity.authority.pem.decode()},
        scope="openid profile",
        userinfo=True,
    )

    thumb = thumbprint(own.der)
    assert claims_of(result["tokens"]["access_token"])["cnf"] == {"x5t#S256": thumb}
    assert result["userinfo"]["preferred_username"] == PERSON
    assert result["refreshed"]["access_token"] != result["tokens"]["access_token"]


@pytest.mark.spec("RFC 7591 §3")
def test_a_client_registers_itself_and_signs_somebody_in(identity: Identity) -> None:
    registration = {
        "client_name": "Newcomer",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile",
        "token_endpoint_auth_method": "client_secret_post",
    }
    wanted = {
        "flow": "register",
        "issuer": identity.issuer,
        "redirect_uri": CALLBACK,
        "scope": "openid profile",
        "registration": registration,
    }

    with node("relying_party", wanted) as party:
        result = finish(identity, party)

    assert result["claims"]["aud"] == result["client"]["client_id"]
    assert result["client"]["client_secret"]
