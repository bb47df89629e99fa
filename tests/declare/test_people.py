"""Groups that stand in one another, roles of APIs and organisations, declared by a file."""

from __future__ import annotations

from datetime import datetime

import pytest

from kronborg.accounts.organisations_store import find_organisation_by_slug, organisation_of_domain
from kronborg.accounts.store import find_by_login, find_group_by_name, roles_of
from kronborg.core.errors import Invalid
from kronborg.gateway.declare.apply import apply
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import make_plan
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.secret_sources import Secrets

pytestmark = pytest.mark.anyio

FILE = """
version: 1
apis:
  shop:
    audience: https://shop.example/api
    name: Shop
    settings: { roles: { editor: Edits } }
groups:
  a-team: { parent: staff, roles: [shop/editor] }
  staff: { roles: [clerk] }
users:
  anna: { groups: [a-team] }
organisations:
  acme: { domains: [acme.example], pending_domains: [other.example] }
"""


async def _apply(installation: Installation, text: str, now: datetime) -> int:
    """How much a plan of the same file would still change."""
    loaded, secrets = read_text(text, name="kronborg.yaml"), Secrets({})
    await apply(installation, loaded, secrets, actor="test", now=now)
    return len((await make_plan(installation, loaded, secrets)).plan.changes)


async def test_groups_are_nested_whatever_their_order(installation: Installation, now: datetime) -> None:
    left = await _apply(installation, FILE, now)

    async with installation.database.read() as session:
        anna = await find_by_login(session, "anna")
        assert anna is not None
        roles = await roles_of(session, anna.id)
    assert left == 0
    assert roles == ("clerk", "shop/editor")


async def test_a_group_and_the_one_above_it_change_places(installation: Installation, now: datetime) -> None:
    await _apply(installation, FILE, now)
    turned = FILE.replace("a-team: { parent: staff,", "a-team: {").replace("staff: {", "staff: { parent: a-team,")

    left = await _apply(installation, turned, now)

    async with installation.database.read() as session:
        staff = await find_group_by_name(session, "staff")
    assert left == 0
    assert staff is not None
    assert staff.lineage == ("staff", "a-team")


async def test_domains_of_a_file_are_confirmed_or_pending(installation: Installation, now: datetime) -> None:
    await _apply(installation, FILE, now)

    async with installation.database.read() as session:
        found = await organisation_of_domain(session, "acme.example")
        pending = await organisation_of_domain(session, "other.example")
    await _apply(installation, "version: 1", now)
    async with installation.database.read() as session:
        gone = await find_organisation_by_slug(session, "acme")

    assert found is not None
    assert [(one.name, one.verified) for one in found.domains] == [("acme.example", True), ("other.example", False)]
    assert pending is None
    assert gone is None


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        ("parent: staff", "parent: staf", "there is no such group"),
        ("staff: {", "staff: { parent: a-team,", "the group stands in itself"),
        ("shop/editor", "shop/edito", "nobody declares such a role"),
        ("[acme.example]", "[acme]", "this is not a domain"),
        ("organisations:", "organisations:\n  rival: { domains: [acme.example] }", "another organisation"),
        ("editor: Edits", "'kronborg:admin': Edits", "this is not a possible name of a role"),
    ],
)
async def test_what_cannot_be_is_told_before_anything_is_written(
    installation: Installation, before: str, after: str, detail: str
) -> None:
    loaded = read_text(FILE.replace(before, after, 1), name="kronborg.yaml")

    with pytest.raises(Invalid) as refusal:
        await make_plan(installation, loaded, Secrets({}))

    assert any(detail in problem.detail for problem in refusal.value.problems)
