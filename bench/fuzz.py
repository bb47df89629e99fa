"""Bad input at every endpoint: no answer may be a 5xx, and none may take the process down.

    python -m bench.fuzz [--requests 10000] [--seed 1] [--url http://localhost:8081 --token TOKEN]

Half of the requests are made by schemathesis from the OpenAPI document of the admin API (well-formed and malformed),
half are junk for `/oauth/*` and the pages: mangled forms, headers, encodings and methods. Without `--url` an
installation of its own is started and thrown away. The exit code is 1 when anything answered with a 5xx.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

SECRET = "fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fuzz"
FILE = """\
version: 1
server:
  issuer: http://localhost:{0}
  identity: {{ port: {0} }}
  gateway: {{ port: {1} }}
  control: {{ port: {2} }}
  worker: {{ port: {3} }}
clients:
  fuzz:
    name: Fuzz
    kind: confidential
    secret: {{ env: FUZZ_SECRET }}
    grants: [client_credentials]
    scopes: [admin:read, admin:write]
  fuzz-web:
    name: Fuzz web
    kind: public
    redirect_uris: ["http://localhost:9/callback"]
    scopes: [openid, admin:read]
"""
JUNK = (
    *("", " ", "\x00", "\x7f", "%00", "%", "%zz", "%ff%fe", "æøå", "\u202e", "\U0001f512", "\ud7ff"),
    *(
        "a" * 300,
        "a" * 9000,
        "-1",
        "0",
        "9" * 40,
        "1e999",
        "NaN",
        "null",
        "[]",
        "{}",
        '"',
        "'",
        "\\",
        "<x>",
        "../",
        "//",
    ),
    *(
        "http://",
        "http://[",
        "http://[::1",
        "javascript:x",
        "https://x.example/#y",
        "urn:x",
        "openid openid",
        "openid\tx",
    ),
    *("eyJhbGciOiJub25lIn0.e30.", "kro_at_x", "kro_rt_" + "a" * 49, "a.b.c", "a.b.c.d.e", "S256", "plain", "; DROP"),
)
NAMES = (
    *("grant_type", "client_id", "client_secret", "code", "code_verifier", "code_challenge", "code_challenge_method"),
    *("redirect_uri", "refresh_token", "scope", "resource", "token", "token_type_hint", "state", "nonce", "prompt"),
    *("response_type", "response_mode", "max_age", "login_hint", "id_token_hint", "post_logout_redirect_uri", "claims"),
    *(
        "client_assertion",
        "client_assertion_type",
        "request",
        "request_uri",
        "username",
        "password",
        "csrf",
        "decision",
    ),
)
VALUES = (
    *(
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "fuzz",
        "fuzz-web",
        SECRET,
        "code",
        "query",
    ),
    *("http://localhost:9/callback", "openid", "admin:read", "S256", "none", "login", "consent"),
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
)
PATHS = (
    *("/oauth/token", "/oauth/authorize", "/oauth/introspect", "/oauth/revoke", "/oauth/userinfo", "/oauth/logout"),
    *("/oauth/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/nothing"),
    *("/signin", "/signout", "/account", "/account/apps", "/healthz"),
)
TYPES = (
    *("application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-16", "application/json"),
    *("multipart/form-data; boundary=x", "text/plain", "", "x" * 500),
)


@dataclass
class Tally:
    """How often each status was answered, and what was sent for a 5xx."""

    statuses: Counter[int] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)

    def note(self, status: int, sent: str) -> None:
        self.statuses[status] += 1
        # 503 is the answer of a process that sheds load, not of one that fell over.
        if status >= 500 and status != 503:
            self.bugs.append(f"{status} {sent[:500]}")


def fuzz_api(url: str, token: str, *, requests: int, seed_: int, tally: Tally) -> None:
    """Well-formed and malformed requests for each operation of the admin API."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        document = http.get("/api/openapi.json").json()
        schema = schemathesis.openapi.from_dict(document)
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        operations.sort(key=lambda one: one.path == "/keys/rotate")  # last: it may make our own token worthless
        each = max(2, requests // (2 * len(operations)))
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _fuzz_operation(operation, mode, url, token, each, seed_, tally)


def _fuzz_operation(
    operation: schemathesis.APIOperation[Any, Any, Any, Any],
    mode: GenerationMode,
    url: str,
    token: str,
    examples: int,
    seed_: int,
    tally: Tally,
) -> None:
    @seed(seed_)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def fire(case: schemathesis.Case[Any]) -> None:
        answer = case.call(base_url=f"{url}/api", headers={"Authorization": f"Bearer {token}"}, timeout=30)
        tally.note(answer.status_code, f"{case.method} {case.formatted_path} {case.query!r} {case.body!r}")

    with warnings.catch_warnings(), suppress(Unsatisfiable):  # some operations have nothing to negate
        warnings.simplefilter("ignore")
        fire()


def fuzz_protocol(url: str, *, requests: int, seed_: int, tally: Tally) -> None:
    """Junk at the protocol endpoints and pages."""
    chance = random.Random(seed_)
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        for _ in range(requests):
            method = chance.choice(("GET", "POST", "POST", "POST", "PUT", "OPTIONS", "HEAD"))
            path = chance.choice(PATHS)
            query, body = _form(chance), _form(chance)
            headers = [(b"content-type", chance.choice(TYPES).encode())]
            if chance.random() < 0.5:
                headers.append((b"authorization", _credentials(chance)))
            if chance.random() < 0.2:
                headers.append((b"cookie", b"session=" + chance.choice(JUNK).encode("utf-8", "replace")[:200]))
            if chance.random() < 0.1:
                headers.append((b"origin", chance.choice(JUNK).encode("ascii", "replace")[:200]))
            target = f"{path}?{query.decode('utf-8', 'replace')}" if chance.random() < 0.5 else path
            content = body if method in ("POST", "PUT") else b""
            try:
                answer = http.request(method, _raw(url, target), headers=_clean(headers), content=content)
            except (httpx.LocalProtocolError, httpx.InvalidURL):
                continue  # our own client refuses to send it
            except httpx.RemoteProtocolError:
                tally.note(599, f"closed without an answer: {method} {target} {headers!r} {content!r}")
                continue
            tally.note(answer.status_code, f"{method} {target} {headers!r} {content!r}")


def _form(chance: random.Random) -> bytes:
    """A form with valid, empty, repeated and broken members."""
    members = []
    for _ in range(chance.randrange(7)):
        name = chance.choice(NAMES) if chance.random() < 0.9 else chance.choice(JUNK)
        value = chance.choice(VALUES) if chance.random() < 0.6 else chance.choice(JUNK)
        raw = chance.random() < 0.2
        members.append(f"{name}={value}" if raw else str(httpx.QueryParams({name: value})))
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(200))
    return "&".join(members).encode("utf-8", "surrogatepass")


def _credentials(chance: random.Random) -> bytes:
    scheme = chance.choice(("Basic", "Bearer", "basic", "Digest", "", "DPoP"))
    value = chance.choice(("ZnV6ejp4", "ZnV6eg==", "====", "Onh4", "\xff", *JUNK))
    return f"{scheme} {value}".encode("latin-1", "replace")[:4000]


def _clean(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What an HTTP library agrees to send at all."""
    return [(name, value.translate(None, b"\x00\r\n").strip()) for name, value in headers]


def _raw(url: str, target: str) -> httpx.URL:
    """A URL whose query is sent as it is."""
    safe = target.encode("utf-8", "replace").translate(None, b"\x00\r\n\t #")
    return httpx.URL(url).copy_with(raw_path=b"".join(b"%%%02x" % c if c < 33 or c > 126 else bytes([c]) for c in safe))


@contextmanager
def installation(folder: Path, ports: tuple[int, int, int, int]) -> Iterator[tuple[str, str]]:
    """An identity process with an operator; gives its URL and a token of the admin API."""
    file, url = folder / "kronborg.yaml", f"http://localhost:{ports[0]}"
    file.write_text(FILE.format(*ports), encoding="utf-8")
    environ = {**os.environ, "FUZZ_SECRET": SECRET}
    where = ["--file", str(file), "--data", str(folder / "data")]
    program = "import sys; from kronborg.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, "apply", *where], env=environ, check=True, capture_output=True)
    with (folder / "identity.log").open("wb") as log:
        argv = [sys.executable, "-m", "kronborg.run", "identity", *where]
        process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log)
        try:
            _wait_until_ready(url, process)
            form = {"grant_type": "client_credentials", "resource": f"{url}/api"}
            answer = httpx.post(f"{url}/oauth/token", data=form, auth=("fuzz", SECRET), trust_env=False)
            yield url, str(answer.json()["access_token"])
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise RuntimeError("the identity process does not start")


def main() -> int:
    """Fuzz, print the tally, and say by the exit code whether anything fell over."""
    options = argparse.ArgumentParser(prog="python -m bench.fuzz")
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--url")
    options.add_argument("--token", default="")
    chosen = options.parse_args()
    tally = Tally()

    def run(url: str, token: str) -> None:
        fuzz_protocol(url, requests=chosen.requests // 2, seed_=chosen.seed, tally=tally)
        fuzz_api(url, token, requests=chosen.requests // 2, seed_=chosen.seed, tally=tally)
        missing = chosen.requests - sum(tally.statuses.values())
        fuzz_protocol(url, requests=max(0, missing), seed_=chosen.seed + 1, tally=tally)

    if chosen.url:
        run(chosen.url, chosen.token)
    else:
        first = random.randrange(20_000, 32_000)
        ports = (first, first + 1, first + 2, first + 3)
        with tempfile.TemporaryDirectory() as folder, installation(Path(folder), ports) as (url, token):
            run(url, token)
    print(f"{sum(tally.statuses.values())} requests:", dict(sorted(tally.statuses.items())))
    for bug in tally.bugs[:50]:
        print(bug)
    return 1 if tally.bugs else 0


if __name__ == "__main__":
    sys.exit(main())
