"""Envoy checks tokens of every algorithm that an API behind the gateway may ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

import pytest

from gateway.live import API, Live
from kronborg.core.json import JsonObject
from kronborg.core.jws import SIGNING, Line, LocalSigner, SigningKey, generate, line_of, public_jwk
from kronborg.gateway.model import Path, Route

READ = Route("read", Path("prefix", "/catalogue"), "echo", audience=API, scopes=("catalogue:read",))


@pytest.fixture
def signers(gateway: Live) -> Iterator[dict[Line, SigningKey]]:
    """A key of each line, all of them published as the issuer publishes them."""
    made: dict[Line, SigningKey] = {}
    published: list[object] = [gateway.key.as_dict(private=False)]
    for line in SIGNING:
        private = generate(line)
        jwk = public_jwk(private, line)
        made[line] = SigningKey(jwk["kid"], line, LocalSigner(line, private))
        published.append(jwk)
    before, gateway.keys = gateway.keys, json.dumps({"keys": published})
    gateway.publish(READ)
    yield made
    gateway.keys = before


@pytest.mark.parametrize(
    ("algorithm", "status"), [("ES256", 200), ("PS256", 200), ("RS256", 200), ("EdDSA", 200), ("Ed25519", 401)]
)
def test_envoy_takes_each_algorithm_by_the_name_it_knows(
    gateway: Live, signers: dict[Line, SigningKey], algorithm: str, status: int
) -> None:
    claims = cast("JsonObject", gateway.claims())
    token = signers[line_of(algorithm)].compact(claims, typ="at+jwt", alg=algorithm)

    answer = gateway.get("/catalogue", token=token)

    assert answer.status == status


@pytest.mark.spec("RFC 8725 §3.1")
def test_the_algorithm_belongs_to_the_key(gateway: Live, signers: dict[Line, SigningKey]) -> None:
    key = signers["PS256"]
    token = key.compact(cast("JsonObject", gateway.claims()), typ="at+jwt", alg="RS256")

    assert gateway.get("/catalogue", token=token).status == 401
