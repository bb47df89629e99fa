"""Names that lead nowhere: each mistake with its line and the nearest name that exists, in the file or in the store."""

from __future__ import annotations

from datetime import datetime

import pytest

from kronborg.accounts.groups import create_group
from kronborg.core.errors import Invalid
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets

pytestmark = pytest.mark.anyio

BASE = """\
version: 1
apis:
  cart: { audience: https://shop.example/cart, name: Cart, scopes: { cart:read: See } }
services:
  cart: { url: "http://127.0.0.1:8094" }
groups:
  customers: {}
"""


async def wrong(installation: Installation, text: str) -> list[tuple[str, str, str]]:
    with pytest.raises(Invalid) as refused:
        await make_plan(installation, read_text(text, name="k.yaml"), Secrets({"SHORT": "abc"}))
    return [(one.where, one.detail, one.mend) for one in refused.value.problems]


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        (
            "routes:\n  r: { prefix: /r/, service: crat, public: true }\n",
            ("k.yaml:9:30 routes.r.service", "the service is unknown", "did you mean cart?"),
        ),
        (
            "routes:\n  r: { prefix: /r/, service: cart, audience: carte }\n",
            ("k.yaml:9:46 routes.r.audience", "the audience is unknown", "did you mean cart?"),
        ),
        (
            "routes:\n  r: { prefix: /r/, service: cart, audience: cart, scopes: [cart:raed] }\n",
            ("k.yaml:9:60 routes.r.scopes", "the audience has no such scope", "did you mean cart:read?"),
        ),
        (
            "routes:\n  r: { prefix: /r/, service: cart }\n",
            (
                "k.yaml:9:6 routes.r",
                "names neither `public: true` nor an audience",
                "name the audience whose tokens may pass, or say `public: true`",
            ),
        ),
        (
            "routes:\n  r: { prefix: /r/../x, service: cart, public: true }\n",
            (
                "k.yaml:9:16 routes.r.prefix",
                "is not a path in normal form",
                "start with /, no //, dot segments, percent-encoding, ; or query",
            ),
        ),
        (
            "clients:\n  c1: { name: C, kind: confidential, grants: [client_credentials], scopes: [cart:reed] }\n",
            ("k.yaml:9:77 clients.c1.scopes.0", "there is no such scope", "did you mean cart:read?"),
        ),
        (
            "clients:\n  c1: { name: C, kind: confidential, grants: [client_credentials], audiences: [carts] }\n",
            ("k.yaml:9:80 clients.c1.audiences.0", "there is no API with this audience", "did you mean cart?"),
        ),
        (
            "clients:\n  c1: { name: C, kind: confidential }\n",
            ("k.yaml:9:3 clients.c1.redirect_uris", "authorization_code needs at least one redirect URI", ""),
        ),
        (
            "users:\n  anna: { groups: [custmers] }\n",
            ("k.yaml:9:20 users.anna.groups.0", "there is no such group", "did you mean customers?"),
        ),
        (
            "users:\n  anna: { password: { env: SHORT } }\n",
            (
                "k.yaml:9:21 users.anna.password",
                "this password is too short",
                "use at least 8 characters; a few words are easy to remember",
            ),
        ),
        (
            "users:\n  anna: { email: a@b.example }\n  bo: { email: A@b.example }\n",
            ("k.yaml:10:16 users.bo.email", "is the address of another person too", "give each their own"),
        ),
        (
            "users:\n  anna: {}\n  Anna: {}\n",
            ("k.yaml:10:3 users.Anna", "is the same user as anna", "drop one of them"),
        ),
    ],
)
async def test_a_wrong_name_is_told_with_its_place_and_the_nearest(
    installation: Installation, addition: str, expected: tuple[str, str, str]
) -> None:
    found = await wrong(installation, BASE + addition)

    assert len(found) == 1
    assert (found[0][0], found[0][1]) == expected[:2]
    assert found[0][2] == expected[2] or "characters" in expected[2]


async def test_every_wrong_name_is_told_at_once(installation: Installation) -> None:
    text = BASE + "users:\n  a1: { groups: [x] }\n  a2: { groups: [y] }\nroutes:\n  r: { path: /r, service: z }\n"

    found = await wrong(installation, text)

    assert [where.split(" ")[1] for where, _, _ in found] == [
        "users.a1.groups.0",
        "users.a2.groups.0",
        "routes.r.service",
        "routes.r",
    ]


async def test_a_file_may_name_what_is_only_in_the_store(installation: Installation, now: datetime) -> None:
    async with installation.database.write() as session:
        await create_group(session, "Staff", actor="test", now=now)

    plan = (
        await make_plan(installation, read_text("version: 1\nusers: {a1: {groups: [staff]}}", name="k"), Secrets())
    ).plan

    assert [change.name for change in plan.changes] == ["a1"]
    assert [one.name for one in plan.unmanaged] == ["Staff"]


async def test_a_trusted_issuer_that_is_not_there_is_told_with_the_nearest(installation: Installation) -> None:
    text = BASE + (
        "trusted_issuers:\n"
        "  partner: { issuer: https://partner.example, jwks_uri: https://partner.example/keys }\n"
        "  platform: { issuer: https://partner.example, jwks: { keys: [] }, subject: client }\n"
        "clients:\n"
        "  bridge:\n"
        "    name: Bridge\n"
        "    kind: confidential\n"
        '    grants: ["urn:ietf:params:oauth:grant-type:jwt-bearer"]\n'
        "    settings: { assertion_issuers: [parner] }\n"
    )

    found = await wrong(installation, text)

    assert ("there is no such trusted issuer", "did you mean partner?") in [one[1:] for one in found]
    assert {one[1] for one in found} >= {"another entry trusts this issuer", "a JWK set has a list of one to ten keys"}
