"""Tokens of other issuers at the gateway, and every way in which one could be taken for ours or for another's."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from gateway.live import API, ISSUER, OTHER_API, Live, b64
from kronborg.gateway.access_model import AudienceMapping, TokenIssuer
from kronborg.gateway.issuer_keys import usable_keys
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route, Snapshot

ACME, UMBRELLA = "https://login.acme.example", "https://id.umbrella.example/"
OPEN = Route("open", Path("prefix", "/open"), "echo", audience=API, issuers=("acme", "umbrella"))
SCOPED = Route(
    "scoped", Path("prefix", "/scoped"), "echo", audience=API, scopes=("catalogue:read",), issuers=("acme", "umbrella")
)
ROLES = Route("roles", Path("prefix", "/roles"), "echo", audience=API, roles=("clerk",), issuers=("acme", "umbrella"))
OWN = Route("own", Path("prefix", "/own"), "echo", audience=API)
ACME_ONLY = Route("acme", Path("prefix", "/acme"), "echo", audience=API, issuers=("acme",))
POLICY = Route(
    "policy",
    Path("prefix", "/policy"),
    "echo",
    audience=API,
    issuers=("acme",),
    policy='permit(principal == Subject::"user-1", action, resource);'
    'permit(principal == Subject::"acme:boss", action, resource);',
)
LIMITED = Route(
    "limited",
    Path("prefix", "/limited"),
    "echo",
    audience=API,
    issuers=("acme",),
    spike_arrest=SpikeArrest("1pm", burst=1, per="user"),
)


class Others:
    """Two issuers with keys of their own, one of which calls its key as ours is called."""

    def __init__(self, gateway: Live) -> None:
        self.gateway = gateway
        self.acme = ECKey.generate_key("P-256", {"kid": "key-1", "use": "sig"})
        self.umbrella = RSAKey.generate_key(2048, {"kid": "u-1"})
        self.issuers = (
            TokenIssuer(
                "acme",
                ACME,
                (AudienceMapping(API, "api://catalogue"),),
                jwks=usable_keys({"keys": [self.acme.as_dict(private=False)]}, ("ES256",)),
                client_claim="azp",
            ),
            TokenIssuer(
                "umbrella",
                UMBRELLA,
                (AudienceMapping(API, "catalogue"), AudienceMapping(OTHER_API, "cart")),
                jwks=usable_keys({"keys": [self.umbrella.as_dict(private=False)]}, ("RS256",)),
                scope_claim="scp",
                roles_claim="/realm/roles",
                any_type=True,
            ),
        )

    def snapshot(self, *routes: Route) -> Snapshot:
        return replace(self.gateway.snapshot(*routes), issuers=self.issuers)

    def of_acme(self, *, typ: str = "at+jwt", key: ECKey | None = None, alg: str = "ES256", **changed: object) -> str:
        claims = {"iss": ACME, "aud": "api://catalogue", "client_id": None, "azp": "shop-web", **changed}
        header = {"alg": alg, "kid": "key-1", "typ": typ}
        payload = json.dumps(self.gateway.claims(**claims)).encode()
        return jws.serialize_compact(header, payload, key or self.acme, algorithms=[alg])

    def of_umbrella(self, *, alg: str = "RS256", **changed: object) -> str:
        claims = {"iss": UMBRELLA, "aud": "catalogue", "scope": None, "scp": ["catalogue:read"], **changed}
        header = {"alg": alg, "kid": "u-1", "typ": "JWT"}
        payload = json.dumps(self.gateway.claims(**claims)).encode()
        return jws.serialize_compact(header, payload, self.umbrella, algorithms=[alg])


@pytest.fixture(scope="module")
def others(gateway: Live) -> Others:
    return Others(gateway)


@pytest.fixture(autouse=True)
def _published(gateway: Live, others: Others) -> None:
    gateway.deliver(others.snapshot(OPEN, SCOPED, ROLES, OWN, ACME_ONLY, POLICY, LIMITED))


def test_a_token_of_another_issuer_passes_and_says_whose_it_is(gateway: Live, others: Others) -> None:
    answer = gateway.get("/open", token=others.of_acme(jti="t-1"))
    ours = gateway.get("/open", token=gateway.token())

    assert (answer.status, ours.status) == (200, 200)
    assert answer.seen("x-kronborg-issuer") == ["acme"]
    assert answer.seen("x-kronborg-subject") == ["acme:user-1"]
    assert answer.seen("x-kronborg-client") == ["acme:shop-web"]
    assert answer.seen("x-kronborg-token") == ["acme:t-1"]
    assert ours.seen("x-kronborg-issuer") == []
    assert ours.seen("x-kronborg-subject") == ["user-1"]


def test_only_routes_that_name_an_issuer_take_its_tokens(gateway: Live, others: Others) -> None:
    shown = {"acme": others.of_acme(), "umbrella": others.of_umbrella()}

    statuses = {
        path: [gateway.get(path, token=shown[name]).status for name in ("acme", "umbrella")]
        for path in ("/open", "/acme", "/own")
    }

    assert statuses == {"/open": [200, 200], "/acme": [200, 401], "/own": [401, 401]}


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("catalogue:read", 200),
        ("a catalogue:read b", 200),
        (["a", "catalogue:read"], 200),
        (["a", "catalogue:readx"], 403),
        (["a catalogue:read"], 403),
        ([["catalogue:read"]], 403),
        ({"catalogue:read": True}, 403),
        (None, 403),
        ("", 403),
    ],
)
def test_scopes_may_be_a_text_or_a_list(gateway: Live, others: Others, scope: object, status: int) -> None:
    assert gateway.get("/scoped", token=others.of_umbrella(scp=scope)).status == status


def test_a_scope_under_our_name_is_none_where_the_issuer_has_another(gateway: Live, others: Others) -> None:
    assert gateway.get("/scoped", token=others.of_umbrella(scp=None, scope="catalogue:read")).status == 403


def test_roles_stand_where_the_issuer_puts_them(gateway: Live, others: Others) -> None:
    statuses = [
        gateway.get("/roles", token=others.of_umbrella(realm={"roles": ["clerk"]})).status,
        gateway.get("/roles", token=others.of_umbrella(roles=["clerk"])).status,
        gateway.get("/roles", token=others.of_acme(roles=["clerk"])).status,
        gateway.get("/roles", token=gateway.token(roles=["clerk"])).status,
        gateway.get("/roles", token=gateway.token(realm={"roles": ["clerk"]})).status,
    ]

    assert statuses == [200, 403, 200, 200, 403]


@pytest.mark.spec("RFC 8725 §3.8")
def test_no_issuer_signs_for_another(gateway: Live, others: Others) -> None:
    wrong = {
        "acme says it is us": others.of_acme(iss=ISSUER, aud=API, client_id="shop-web"),
        "acme says it is umbrella": others.of_acme(iss=UMBRELLA, aud="catalogue", scp="catalogue:read"),
        "we say we are acme": gateway.token(iss=ACME, aud="api://catalogue", azp="x"),
        "our audience": others.of_acme(aud=API),
        "the audience of another API": others.of_umbrella(aud="cart"),
        "no audience": others.of_acme(aud=None),
        "without a slash": others.of_umbrella(iss=UMBRELLA.rstrip("/")),
        "a list of issuers": others.of_acme(iss=[ACME]),
        "no issuer": others.of_acme(iss=None),
        "no client": others.of_acme(azp=None),
        "no subject": others.of_acme(sub=None),
        "an ID token": others.of_acme(typ="JWT"),
        "for ever": others.of_acme(exp=None),
    }

    statuses = {name: gateway.get("/open", token=token).status for name, token in wrong.items()}

    assert set(statuses.values()) == {401}, statuses


@pytest.mark.spec("RFC 8725 §3.1")
def test_an_algorithm_that_the_issuer_was_not_given_is_refused(gateway: Live, others: Others) -> None:
    header = b64(json.dumps({"alg": "HS256", "kid": "u-1", "typ": "at+jwt"}).encode())
    claims = gateway.claims(iss=UMBRELLA, aud="catalogue")
    signed = f"{header}.{b64(json.dumps(claims).encode())}"
    secret = others.umbrella.as_pem(private=False)
    confused = f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
    none = b64(b'{"alg":"none","typ":"at+jwt"}') + f".{b64(json.dumps(claims).encode())}."

    statuses = [gateway.get("/open", token=token).status for token in (confused, none, others.of_umbrella(alg="PS256"))]

    assert statuses == [401, 401, 401]


def test_a_policy_tells_our_people_from_theirs(gateway: Live, others: Others) -> None:
    statuses = [
        gateway.get("/policy", token=token).status
        for token in (gateway.token(), others.of_acme(), others.of_acme(sub="boss"), gateway.token(sub="boss"))
    ]

    assert statuses == [200, 403, 200, 403]


def test_a_limiter_counts_our_people_apart_from_theirs(gateway: Live, others: Others) -> None:
    statuses = [
        gateway.get("/limited", token=token).status
        for token in (gateway.token(), others.of_acme(), gateway.token(), others.of_acme())
    ]

    assert statuses == [200, 200, 429, 429]


def test_a_claim_that_stands_twice_never_counts_as_both(gateway: Live, others: Others) -> None:
    header = {"alg": "ES256", "kid": "key-1", "typ": "at+jwt"}
    text = json.dumps(gateway.claims(iss=ACME, aud="api://catalogue", azp="a", scope="none"))
    payload = text[:-1] + ', "scope": "catalogue:read", "azp": "b"}'
    token = jws.serialize_compact(header, payload.encode(), others.acme, algorithms=["ES256"])

    answer = gateway.get("/open", token=token)

    assert answer.status == 401 or len(answer.seen("x-kronborg-client")) == 1


def test_keys_are_taken_only_as_public_keys_of_allowed_algorithms() -> None:
    rsa = RSAKey.generate_key(2048).as_dict(private=True)
    small = {"kty": "RSA", "n": "AQAB", "e": "AQAB"}
    given: dict[str, Any] = {
        "keys": [
            {"kty": "oct", "k": base64.urlsafe_b64encode(b"s" * 32).decode(), "alg": "HS256"},
            {**{name: rsa[name] for name in ("kty", "n", "e")}, "kid": "a"},
            {**{name: rsa[name] for name in ("kty", "n", "e")}, "kid": "enc", "use": "enc"},
            {**{name: rsa[name] for name in ("kty", "n", "e")}, "kid": "other", "alg": "RS512"},
            small,
            "nonsense",
        ]
    }

    kept = json.loads(usable_keys(given, ("RS256", "PS256")))["keys"]

    assert [(key["kid"], key["alg"]) for key in kept] == [("a", "RS256"), ("a", "PS256")]
    assert all(set(key) <= {"kty", "n", "e", "kid", "alg", "use"} for key in kept)
    assert usable_keys({"keys": []}, ("ES256",)) == ""
