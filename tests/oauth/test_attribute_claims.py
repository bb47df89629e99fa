"""Attributes of the installation's schema as claims, to clients with their scope."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from kronborg.accounts.people import People
from kronborg.accounts.settings import Attribute, PeopleSettings
from kronborg.accounts.users import NewUser, create_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.json import JsonValue
from kronborg.oauth.documents import metadata_document
from kronborg.tokens.claims import claims_of, told_attributes
from token_site import ISSUER, token_site

pytestmark = pytest.mark.anyio

SCHEMA = (
    Attribute("team", "Team", claim="team"),
    Attribute("badge", "Badge", claim="https://kronborg.example/badge", scope="openid"),
    Attribute("note", "Note"),
)


@pytest.mark.spec("OIDC Core §5.1.2")
async def test_claims_of_our_own_follow_their_scope(database: Database, vault: Vault, now: datetime) -> None:
    async with token_site(database, vault, now) as site:
        engine = replace(site.engine, people=People.make(vault, ISSUER, PeopleSettings(attributes=SCHEMA)))
        kept: dict[str, JsonValue] = {"team": "red", "badge": 7, "note": "secret", "gone": "x"}
        async with database.write() as session:
            user = await create_user(session, NewUser("ada", attributes=kept), actor="test", now=now)
        attributes = told_attributes(engine)

        openid = claims_of(user, ("openid",), (), attributes)
        profile = claims_of(user, ("openid", "profile"), (), attributes)
        document, _ = await metadata_document(engine)(now)

    assert openid == {"https://kronborg.example/badge": 7}
    assert profile["team"] == "red"
    assert "secret" not in profile.values()
    assert b'"https://kronborg.example/badge"' in document
    assert told_attributes(site.engine) == ()
