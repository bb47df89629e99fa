"""Whether another issuer signed a token: for simulation. At the gateway itself Envoy looks, with the same keys."""

from __future__ import annotations

from collections.abc import Mapping

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import JWKRegistry

from kronborg.core.jose import MAX_TOKEN, Jwt
from kronborg.core.json import read_object
from kronborg.gateway.access_model import TokenIssuer


class _Registry(jws.JWSRegistry):
    """One algorithm, that of the key. The library warns at the older name of Ed25519, which Envoy knows alone."""

    max_header_length = MAX_TOKEN

    def get_alg(self, name: str) -> JWSAlgModel:
        if not self.allowed or name not in self.allowed:
            raise JoseError
        return self.algorithms[name]


def signed_by(jwt: Jwt, source: TokenIssuer) -> bool:
    """Whether a key of `source` made the signature; its keys stand each with the one algorithm it is for."""
    algorithm, kid = jwt.header.get("alg"), jwt.header.get("kid")
    if algorithm not in source.algorithms or not source.jwks:
        return False
    registry = _Registry(algorithms=[str(algorithm)], strict_check_header=False)
    members = read_object(source.jwks.encode()).get("keys")
    for one in members if isinstance(members, (list, tuple)) else ():
        # RFC 8725 section 3.1: the algorithm belongs to the key, never to the token.
        if not isinstance(one, Mapping) or one.get("alg") != algorithm:
            continue
        if kid is not None and one.get("kid") not in (None, kid):
            continue
        try:
            key = JWKRegistry.import_key({name: str(value) for name, value in one.items()})
            jws.deserialize_compact(jwt.compact, key, registry=registry)
        except (JoseError, ValueError):
            continue
        return True
    return False
