"""The parameter `organization`: a client asks for a person as a member of one of their organisations."""

from __future__ import annotations

import pytest

from kronborg.accounts.organisations import OrganisationDraft, add_member, create_organisation, remove_member
from oauth.flow import Flow, answer_of
from token_site import claims_of

pytestmark = pytest.mark.anyio


async def test_a_client_asks_for_one_of_several_organisations(flow: Flow) -> None:
    ada, now, ids = await flow.person("bea"), flow.clock.now, {}
    async with flow.database.write() as session:
        for slug in ("acme", "zeta", "other"):
            ids[slug] = (await create_organisation(session, OrganisationDraft(slug), actor="test", now=now)).id
        for slug in ("acme", "zeta"):
            await add_member(session, ids[slug], ada.id, actor="test", now=now)
    browser = flow.browser()
    await flow.code(browser, username="bea")

    by_name = answer_of(await flow.authorize(browser, scope="openid", organization="ZETA"))
    by_id = answer_of(await flow.authorize(browser, scope="openid", organization=ids["acme"]))
    refused = answer_of(await flow.authorize(browser, scope="openid", organization="other"))
    unasked = answer_of(await flow.authorize(browser, scope="openid"))
    tokens = [(await flow.exchange(answer["code"])).json() for answer in (by_name, by_id, unasked)]
    told = [claims_of(token["id_token"]) for token in tokens]
    info = (await flow.userinfo(tokens[0]["access_token"])).json()
    async with flow.database.write() as session:
        await remove_member(session, ids["zeta"], ada.id, actor="test", now=now)
    after = (await flow.userinfo(tokens[0]["access_token"])).json()

    assert [claims.get("organisation") for claims in told] == ["zeta", "acme", None]
    assert (told[0]["org_id"], told[0]["org_role"]) == (ids["zeta"], "member")
    assert refused["error"] == "access_denied"
    assert info["organisation"] == "zeta"
    assert "organisation" not in after
