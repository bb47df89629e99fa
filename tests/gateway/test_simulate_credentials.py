"""Simulation answers as the proxy does about bound tokens, keys, and tokens of other issuers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.live import API, ISSUER, OTHER_API, Live
from gateway.test_api_keys import key_of
from gateway.test_issuers import ACME, Others
from gateway.test_simulate import assert_same, said_by
from kronborg.core import opaque
from kronborg.core.jose import parse
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.model import Audience, Path, Route
from kronborg.gateway.simulate import decide, prepare
from kronborg.gateway.simulate_issuer import signed_by
from kronborg.gateway.simulate_nouns import Call, Held, Unfit
from kronborg.gateway.simulate_way import Ready

BOUND_API = "https://shop.example/orders"
CERTIFICATE, JKT = {"x5t#S256": "c" * 43}, {"jkt": "k" * 43}
ROUTES = (
    Route("bound", Path("prefix", "/bound"), "echo", audience=API, bound="required", issuers=("acme",)),
    Route("issued", Path("prefix", "/issued"), "echo", audience=API, issuers=("acme", "umbrella")),
    Route("api", Path("prefix", "/api"), "echo", audience=BOUND_API, credentials=("token", "api_key")),
    Route("tokens", Path("prefix", "/tokens"), "echo", audience=OTHER_API),
    Route("keys", Path("prefix", "/keys"), "echo", audience=API, credentials=("api_key",), scopes=("catalogue:read",)),
    Route("any", Path("prefix", "/any"), "echo", audience=API, credentials=("token", "api_key", "personal_token")),
    Route("both", Path("prefix", "/both"), "echo", audience=API, credentials=("token", "api_key"), bound="required"),
    Route("open", Path("prefix", "/open"), "echo", public=True),
    Route("inside", Path("prefix", "/inside"), "echo", public=True, listeners=("internal",)),
)


@pytest.fixture(scope="module")
def served(gateway: Live) -> tuple[Live, Ready, Others]:
    others = Others(gateway)
    found = others.snapshot(*ROUTES)
    audiences = (*found.audiences, Audience(BOUND_API, bound=True))
    snapshot = replace(found, audiences=audiences)
    gateway.deliver(snapshot)
    return gateway, prepare(snapshot), others


def ask(live: Live, ready: Ready, path: str, header: dict[str, str], held: Held | Unfit | None) -> None:
    """Ask both; what a header proves is `held`."""
    answer = live.get(path, headers=header)

    others = {name.lower(): value for name, value in header.items() if name.lower() != "authorization"}
    call = Call("GET", "localhost", path, held, headers=others, address="127.0.0.1")
    decision = decide(ready, call, now=datetime.now(UTC))

    assert_same(answer, decision)


@pytest.mark.parametrize("path", ["/bound", "/issued", "/api", "/open"])
@pytest.mark.parametrize("scheme", ["bearer", "dpop"])
@pytest.mark.parametrize("cnf", [None, CERTIFICATE, JKT, {**CERTIFICATE, **JKT}, {}, {"jwk": {"kty": "EC"}}, "x"])
@pytest.mark.spec("RFC 9449 §7.2")
@pytest.mark.spec("RFC 8705 §3")
def test_bound_tokens_without_a_proof(
    served: tuple[Live, Ready, Others], path: str, scheme: str, cnf: dict[str, object] | str | None
) -> None:
    live, ready, _ = served
    audience = BOUND_API if path == "/api" else API
    token = live.token(cnf=cnf, aud=audience)

    ask(live, ready, path, {"Authorization": f"{scheme} {token}"}, Held(said_by(token), scheme=scheme))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/keys", "/any", "/tokens", "/both", "/open"])
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize("kind", [opaque.API_KEY, opaque.PERSONAL, None])
def test_keys_where_they_are_taken_and_where_not(
    served: tuple[Live, Ready, Others], path: str, header: str, kind: opaque.Kind | None
) -> None:
    live, ready, _ = served
    credential = {opaque.API_KEY: "api_key", opaque.PERSONAL: "personal_token", None: "token"}[kind]
    key = live.token() if kind is None else key_of(live, kind, aud=API)
    claims = said_by(key if kind is None else live.exchange.answers[key][1])
    held: Held | Unfit = Held(claims, credential=credential)  # type: ignore[arg-type]
    sent = {header: key if header == "X-API-Key" else f"Bearer {key}"}
    if header == "X-API-Key" and kind is None:
        ask(live, ready, path, sent, None)
        return
    if header == "X-API-Key":
        # A key is looked up before the decision; where none is taken, its header is as if it were not there.
        answer = live.get(path, headers=sent)
        taken = set(next(one for one in ROUTES if one.path.value == path).credentials) - {"token"}
        call = Call("GET", "localhost", path, held if taken else None, address="127.0.0.1")
        assert_same(answer, decide(ready, call, now=datetime.now(UTC)))
        return
    ask(live, ready, path, sent, held)


@pytest.mark.spec("RFC 6750 §2")
@pytest.mark.parametrize("path", ["/keys", "/any", "/tokens", "/open"])
def test_two_credentials_in_one_request(served: tuple[Live, Ready, Others], path: str) -> None:
    live, ready, _ = served
    token = live.token()
    both = {"Authorization": f"Bearer {token}", "X-API-Key": key_of(live)}

    ask(live, ready, path, both, Held(said_by(token)))


@pytest.mark.parametrize("path", ["/issued", "/bound", "/tokens", "/any"])
@pytest.mark.parametrize(
    "changed",
    [{}, {"aud": API}, {"azp": None}, {"sub": None}, {"exp": 1}, {"iss": ISSUER}, {"cnf": JKT}, {"cnf": CERTIFICATE}],
)
def test_tokens_of_another_issuer(served: tuple[Live, Ready, Others], path: str, changed: dict[str, object]) -> None:
    live, ready, others = served
    token = others.of_acme(**changed)  # type: ignore[arg-type]
    source = next(one for one in others.issuers if one.issuer == ACME)
    held = Held(said_by(token)) if "iss" not in changed else Unfit("a JWT that no key of ours signed")

    ask(live, ready, path, {"Authorization": f"Bearer {token}"}, held)

    assert signed_by(parse(token), source)
    assert not signed_by(parse(token), others.issuers[1])


def test_what_is_served_inside_only_is_not_there_outside(served: tuple[Live, Ready, Others]) -> None:
    live, ready, _ = served
    inside = prepare(ready.snapshot, Listener("internal", kind="internal"))
    call = Call("GET", "localhost", "/inside", address="127.0.0.1")

    ask(live, ready, "/inside", {}, None)

    assert decide(inside, call, now=datetime.now(UTC)).passes
    assert decide(inside, replace(call, path="/open"), now=datetime.now(UTC)).status == 404
