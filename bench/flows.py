"""What the load generator sends: requests that never change, and flows in which each follows from the last answer."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlencode, urlsplit

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from bench.identity import CALLBACK, CLIENT, FIRST_PARTY, ISSUER, JWT_API, PASSWORD, PUBLIC
from bench.load import Script, form, get

VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_CSRF = re.compile(rb'name="csrf" value="([^"]+)"')
_COOKIE = re.compile(rb"set-cookie: (kronborg_browser=[^;]+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: ([^\r\n]+)", re.IGNORECASE)


def credentials(secret: str, scope: str, resource: str, *headers: str, path: str = "/oauth/token") -> bytes:
    """A client asks for a token of its own."""
    resource, scope = quote(resource, safe=""), quote(scope, safe="")
    usual = f"grant_type=client_credentials&client_id={CLIENT}&client_secret={secret}"
    return form(path, f"{usual}&scope={scope}&resource={resource}", *headers)


def introspection(secret: str, token: str, *, path: str = "/oauth/introspect") -> bytes:
    """A resource server asks about a token."""
    return form(path, f"client_id={CLIENT}&client_secret={secret}&token={token}")


def each_of(requests: Sequence[bytes], start: int) -> Script:
    """One request after the other, from `start` on, round and round."""
    turning = itertools.cycle((*requests[start:], *requests[:start]))
    return lambda _head, _body: next(turning)


def refreshing(first: str, client: str = PUBLIC, *, path: str = "/oauth/token") -> Script:
    """Trade a refresh token, then its successor, and so on; a new run goes on where the last one stopped."""
    token = first

    def script(_head: bytes, body: bytes) -> bytes:
        nonlocal token
        if body:
            token = orjson.loads(body)["refresh_token"]
        return form(path, f"grant_type=refresh_token&client_id={client}&refresh_token={token}")

    return script


def authorizing(session: str, secret: str) -> Script:
    """Push a request, authorize it in a browser that is signed in, trade the code: three requests for a flow."""
    step = 0
    usual = {"client_id": FIRST_PARTY, "client_secret": secret, "redirect_uri": CALLBACK}
    asked = {"response_type": "code", "scope": "openid bench:read", "state": "bench", "nonce": "bench"}
    proof = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    push = form("/oauth/par", urlencode({**usual, **asked, **proof}))

    def script(head: bytes, body: bytes) -> bytes:
        nonlocal step
        step = (step + 1) % 3 if head else 0
        if step == 0:
            return push
        if step == 1:
            query = urlencode({"client_id": FIRST_PARTY, "request_uri": orjson.loads(body)["request_uri"]})
            return get(f"/oauth/authorize?{query}", f"Cookie: kronborg_session={session}", "Sec-Fetch-Site: none")
        location = _LOCATION.search(head)
        if location is None or b"code=" not in location[1]:
            raise ValueError("no code")
        code = dict(pair.split("=") for pair in urlsplit(location[1].decode()).query.split("&"))["code"]
        trade = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "resource": JWT_API}
        return form("/oauth/token", urlencode({**usual, **trade}))

    return script


def signing_in(username: str) -> Script:
    """Open the page once, then send the form again and again."""
    request = b""

    def script(head: bytes, body: bytes) -> bytes:
        nonlocal request
        if not head:
            request = b""
            return get("/signin", "Accept: text/html")
        if not request:
            csrf, cookie = _CSRF.search(body), _COOKIE.search(head)
            if csrf is None or cookie is None:
                raise ValueError("no form")
            fields = {"csrf": csrf[1].decode(), "username": username, "password": PASSWORD, "next": "", "ticket": ""}
            request = form("/signin", urlencode(fields), f"Cookie: {cookie[1].decode()}", "Sec-Fetch-Site: same-origin")
        elif not head.startswith(b"HTTP/1.1 303"):
            raise ValueError("not signed in")
        return request

    return script


class Prover:
    """Makes DPoP proofs (RFC 9449 §4.2) ahead of time: the clients of a real load do so on machines of their own."""

    def __init__(self) -> None:
        self._key: EllipticCurvePrivateKey = generate_private_key(SECP256R1())
        numbers = self._key.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": _b64(numbers.x.to_bytes(32, "big")),
            "y": _b64(numbers.y.to_bytes(32, "big")),
        }
        self._header = _b64(orjson.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}))

    def proofs(self, count: int) -> Iterator[str]:
        """So many, each for one use within the next minute."""
        now = int(time.time())
        for _ in range(count):
            claims = {"jti": os.urandom(16).hex(), "htm": "POST", "htu": f"{ISSUER}/oauth/token", "iat": now}
            signed = f"{self._header}.{_b64(orjson.dumps(claims))}"
            r, s = decode_dss_signature(self._key.sign(signed.encode(), ECDSA(SHA256())))
            yield f"{signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def bound(secret: str, connections: int, count: int) -> tuple[Script, ...]:
    """Client credentials bound to a DPoP key; `count` proofs for all connections together."""
    proofs = Prover().proofs(count)
    requests = [credentials(secret, "bench:read", JWT_API, f"DPoP: {one}") for one in proofs]
    remaining = iter(requests)
    # Each is taken once, whichever connection is free; when they are used up, the answers are refusals and show it.
    return (lambda _head, _body: next(remaining, requests[0]),) * connections


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
