"""The section `token_issuers` of a document: other issuers whose access tokens routes may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Annotated, cast

import orjson
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import Algorithm, AudienceMapping, TokenIssuer
from kronborg.gateway.declare.parts import Key, Section, Text, Uri
from kronborg.gateway.issuer_keys import usable_keys


class TokenIssuerSection(Section):
    """Another issuer whose tokens the gateway takes on routes that name it. The key of the entry is its name."""

    issuer: Text
    """The `iss` of its tokens."""
    audiences: Annotated[tuple[AudienceMapping, ...], Field(min_length=1, max_length=50)]
    """What it calls our APIs."""
    jwks_uri: Uri | None = None
    """Where its public keys are fetched from, every five minutes."""
    jwks: Annotated[dict[str, object], Field(max_length=20)] | None = None
    """Its public keys themselves (a JWK Set), in place of `jwks_uri`."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1, max_length=10)] = ("RS256", "ES256")
    """The signatures that are taken."""
    client_claim: Key = "client_id"
    """The claim that names the client."""
    subject_claim: Key = "sub"
    """The claim that names the person or machine."""
    scope_claim: Key = "scope"
    """The claim with the scopes: a text of words, or a list."""
    roles_claim: Key = "roles"
    """The claim with the roles: a name, or a JSON Pointer."""
    any_type: bool = False
    """Take its tokens whatever their `typ` says; else only `at+jwt` (RFC 9068)."""

    @model_validator(mode="after")
    def _one(self) -> TokenIssuerSection:
        if (self.jwks is None) == (self.jwks_uri is None):
            raise PydanticCustomError("jwks", "needs either jwks or jwks_uri")
        return self


def token_issuer_of(name: str, section: TokenIssuerSection, audience: Callable[[str], str]) -> TokenIssuer:
    """The issuer that a section wishes for; `audience` tells the audience URI of an API by its name."""
    known = {one.name: getattr(section, one.name) for one in fields(TokenIssuer) if one.name not in ("name", "jwks")}
    # Through JSON: what a file holds may be of types that only look like JSON.
    jwks = "" if section.jwks is None else usable_keys(orjson.loads(orjson.dumps(section.jwks)), section.algorithms)
    issuer = TokenIssuer(name=name, jwks=jwks, **known)
    mapped = (replace(one, api=audience(one.api)) for one in issuer.audiences)
    return replace(issuer, audiences=tuple(mapped))


def token_issuer_fields(issuer: TokenIssuer) -> dict[str, JsonValue]:
    """An issuer in the vocabulary of a file, lists whose order means nothing sorted."""
    mapped = sorted((one.api, one.audience) for one in issuer.audiences)
    jwks = cast("JsonObject", orjson.loads(issuer.jwks)) if issuer.jwks and issuer.jwks_uri is None else None
    plain = ("issuer", "jwks_uri", "client_claim", "subject_claim", "scope_claim", "roles_claim", "any_type")
    return {
        **{name: getattr(issuer, name) for name in plain},
        "audiences": [{"api": api, "audience": audience} for api, audience in mapped],
        "algorithms": sorted(issuer.algorithms),
        "jwks": jwks,
    }
