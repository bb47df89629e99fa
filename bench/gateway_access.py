"""What rules, policies, keys and other issuers cost, next to a plain token: `python bench/gateway_access.py`.

One Envoy worker; CPU of the proxy per request. Rounds are short and follow one another in a new order each time; the
ratio to the plain route is taken within each round, and its median is told.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path as FilePath

# In place of this folder, where another module is called `gateway`.
sys.path[:1] = [str(FilePath(__file__).parents[1] / "tests")]

from joserfc import jws  # noqa: E402
from joserfc.jwk import ECKey  # noqa: E402

from gateway.live import API, Live  # noqa: E402
from kronborg.gateway.access_model import AccessRule, AudienceMapping, ClaimRule, TokenIssuer  # noqa: E402
from kronborg.gateway.issuer_keys import usable_keys  # noqa: E402
from kronborg.gateway.model import Path, Route  # noqa: E402

ROUNDS, REQUESTS = 12, 500
PLAIN = "a token and a scope"
KEY = "kro_key_" + "k" * 43
POLICY = """
permit (principal in Role::"clerk", action, resource) when { context.claims.department == "sales" };
permit (principal, action == Action::"GET", resource) when { context.scopes.contains("catalogue:read") };
forbid (principal, action, resource) when { context.claims has trial && context.claims.trial == true };
"""
RULES = (
    AccessRule(("GET",), ("catalogue:read",), claims=(ClaimRule("department", ("sales", "support")),)),
    AccessRule(("POST",), ("catalogue:write",), ("clerk",)),
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        live = Live(FilePath(folder))
        try:
            variants = prepared(live)
            for path, credential in variants.values():
                cpu_of(live, path, credential)
            costs: dict[str, list[float]] = {name: [] for name in variants}
            for _ in range(ROUNDS):
                for name in random.sample(list(variants), len(variants)):
                    costs[name].append(cpu_of(live, *variants[name]))
        finally:
            live.stop()
    for name, seen in costs.items():
        ratio = statistics.median(one / plain for one, plain in zip(seen, costs[PLAIN], strict=True))
        print(f"{name:36} {statistics.median(seen):6.0f} us  {ratio:5.2f}", flush=True)


def prepared(live: Live) -> dict[str, tuple[str, str]]:
    """A route and a credential for each; published."""
    theirs = ECKey.generate_key("P-256", {"kid": "theirs"})
    issuer = TokenIssuer(
        "acme",
        "https://login.acme.example",
        (AudienceMapping(API, "api"),),
        jwks=usable_keys({"keys": [theirs.as_dict(private=False)]}, ("ES256",)),
    )
    plain = Route("plain", Path("prefix", "/plain"), "echo", audience=API, scopes=("catalogue:read",))
    kinds = {
        PLAIN: plain,
        "rules by method and a claim": replace(plain, scopes=(), rules=RULES),
        "a compiled policy": replace(plain, scopes=(), policy=POLICY),
        "an API key": replace(plain, credentials=("token", "api_key")),
        "another issuer's token": replace(plain, issuers=("acme",)),
        "our token where another may pass": replace(plain, issuers=("acme",)),
    }
    routes = {
        kind: replace(route, name=f"r{at}", path=Path("prefix", f"/r{at}"))
        for at, (kind, route) in enumerate(kinds.items())
    }
    live.deliver(replace(live.snapshot(*routes.values()), issuers=(issuer,)))
    token = live.token(department="sales", roles=["clerk"], exp=4_000_000_000)
    live.exchange.answers[KEY] = (200, token, 60)
    claims = json.dumps(live.claims(iss=issuer.issuer, aud="api", exp=4_000_000_000)).encode()
    other = jws.serialize_compact(
        {"alg": "ES256", "kid": "theirs", "typ": "at+jwt"}, claims, theirs, algorithms=["ES256"]
    )
    shown = dict.fromkeys(kinds, token) | {"an API key": KEY, "another issuer's token": other}
    return {kind: (route.path.value, shown[kind]) for kind, route in routes.items()}


def cpu_of(live: Live, path: str, credential: str) -> float:
    """Microseconds of CPU that Envoy took per request."""
    assert live.process is not None
    connection = http.client.HTTPConnection("127.0.0.1", live.proxy.port)
    before = busy(live.process.pid)
    for _ in range(REQUESTS):
        connection.request("GET", path, headers={"authorization": f"Bearer {credential}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, (path, answer.status)
    connection.close()
    return (busy(live.process.pid) - before) / REQUESTS / 1000


def busy(pid: int) -> int:
    """Nanoseconds that the threads of a process were on a processor; finer than the clock of `times`."""
    return sum(int(one.read_text().split()[0]) for one in FilePath(f"/proc/{pid}/task").glob("*/schedstat"))


if __name__ == "__main__":
    main()
