"""Token issuers and shared policies in `kronborg.yaml`: plan, apply, drift, export, removal, places of mistakes."""

from __future__ import annotations

from datetime import datetime

import orjson
import pytest
from joserfc.jwk import ECKey

from kronborg.core.errors import Invalid
from kronborg.gateway.access_model import AudienceMapping, TokenIssuer
from kronborg.gateway.declare.apply import apply
from kronborg.gateway.declare.export import export
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import Plan, make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.gateway.model import Snapshot
from kronborg.gateway.publish import draft
from kronborg.gateway.shared_policies import settled
from kronborg.gateway.token_issuers import save_token_issuer

pytestmark = pytest.mark.anyio
API = "https://shop.example/catalogue"
JWKS = orjson.dumps({"keys": [ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)]}).decode()
FILE = f"""\
version: 1
apis:
  catalogue: {{ audience: {API}, name: Catalogue, scopes: {{ "catalogue:read": Read }} }}
token_issuers:
  acme:
    issuer: https://login.acme.example
    audiences: [{{ api: catalogue, audience: "api://catalogue" }}]
    jwks_uri: https://login.acme.example/jwks
    algorithms: [ES256]
    roles_claim: /realm/roles
  partner:
    issuer: https://partner.example
    audiences: [{{ api: catalogue, audience: kronborg }}]
    jwks: {JWKS}
policies:
  staff: 'permit (principal in Role::"staff", action, resource);'
  no-trials: |
    // Trials read nothing.
    forbid (principal, action, resource)
    when {{ context.claims has trial }};
services:
  catalogue: {{ url: "http://127.0.0.1:9001" }}
routes:
  catalogue:
    service: catalogue
    prefix: /catalogue
    audience: catalogue
    issuers: [acme]
    policies: [staff, no-trials]
    policy: 'permit (principal, action == Action::"GET", resource);'
"""


async def carry_out(installation: Installation, text: str, now: datetime) -> Plan:
    loaded = read_text(text, name="kronborg.yaml")
    return (await apply(installation, loaded, Secrets({}), actor="test", now=now)).plan


async def planned(installation: Installation, text: str) -> Plan:
    return (await make_plan(installation, read_text(text, name="kronborg.yaml"), Secrets({}))).plan


async def snapshot_of(installation: Installation) -> Snapshot:
    async with installation.database.read() as session:
        return await draft(session, issuer=installation.issuer, gateway_url=installation.gateway_url)


async def test_what_a_file_declares_is_made_and_planned_no_more(installation: Installation, now: datetime) -> None:
    made = await carry_out(installation, FILE, now)

    again, snapshot = await planned(installation, FILE), await snapshot_of(installation)

    assert {(one.kind, one.name) for one in made.changes} >= {("token_issuer", "acme"), ("policy", "staff")}
    assert again.changes == ()
    assert [one.name for one in snapshot.issuers] == ["acme", "partner"]
    assert snapshot.issuers[0].audiences == (AudienceMapping(API, "api://catalogue"),)
    assert snapshot.routes[0].policies == ("staff", "no-trials")
    policy = settled(snapshot).routes[0].policy or ""
    assert (policy.count("permit"), policy.count("forbid")) == (2, 1)


async def test_an_export_has_an_empty_plan(installation: Installation, now: datetime) -> None:
    await carry_out(installation, FILE, now)

    async with installation.database.read() as session:
        text = await export(session, issuer=installation.issuer, gateway_url=installation.gateway_url)

    assert "token_issuers:" in text
    assert "    // Trials read nothing.\n" in text
    assert (await planned(installation, text)).changes == ()


async def test_a_change_outside_the_file_is_drift_and_another_text_a_change(
    installation: Installation, now: datetime
) -> None:
    await carry_out(installation, FILE, now)
    elsewhere = TokenIssuer(
        "acme", "https://login.acme.example", (AudienceMapping(API, "other"),), jwks_uri="https://x.example/jwks"
    )
    async with installation.database.write() as session:
        await save_token_issuer(
            session, elsewhere, own=installation.issuer, apis=frozenset({API}), actor="somebody", now=now
        )

    drifted = await planned(installation, FILE)
    await carry_out(installation, FILE, now)
    changed = await carry_out(installation, FILE.replace('Role::"staff"', 'Role::"clerks"'), now)

    assert [(one.name, one.drift) for one in drifted.changes] == [("acme", True)]
    assert [(one.kind, one.name, one.action) for one in changed.changes] == [("policy", "staff", "update")]


async def test_what_vanishes_is_removed_and_what_is_named_cannot_vanish(
    installation: Installation, now: datetime
) -> None:
    await carry_out(installation, FILE, now)
    start, end = FILE.index("  partner:"), FILE.index("policies:\n  staff")

    removed = await carry_out(installation, FILE[:start] + FILE[end:], now)
    with pytest.raises(Invalid) as refused:
        await planned(installation, FILE.replace("policies: [staff, no-trials]", "policies: [staff, no-trails]"))

    assert [(one.action, one.kind, one.name) for one in removed.changes] == [("delete", "token_issuer", "partner")]
    assert [one.detail for one in refused.value.problems] == ["names a policy that there is not"]


@pytest.mark.parametrize(
    ("old", "new", "line", "detail"),
    [
        ("issuer: https://partner.example", "issuer: https://login.acme.example", 4, "is that of another token issuer"),
        ("api: catalogue, audience: kronborg", "api: unknown, audience: kronborg", 12, "names an unknown API"),
        ("jwks_uri: https://login", "jwks_uri: http://login", 8, ""),
        ("'permit (principal in", "'permit (principal out", 15, "does not stand: it is no Cedar policy"),
        ("issuers: [acme]", "issuers: [acne]", 28, "the issuer is unknown"),
    ],
)
async def test_a_mistake_is_told_with_its_place(
    installation: Installation, old: str, new: str, line: int, detail: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await planned(installation, FILE.replace(old, new))

    problem = refused.value.problems[0]
    assert detail in problem.detail
    assert int(problem.where.split(":")[1]) >= line
