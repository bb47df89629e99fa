"""The SCIM server over HTTP: who may, what is kept, what is found, what is refused."""

from __future__ import annotations

import pytest

from kronborg.accounts.store import find_by_login
from kronborg.accounts.users import NewUser, create_user, disable_user
from kronborg.core import clock
from provisioning.scim_site import ENTERPRISE, ISSUER, USER, Scim

pytestmark = pytest.mark.anyio

Clients = tuple[Scim, Scim, Scim]


@pytest.mark.spec("RFC 7644 §2")
async def test_only_a_token_for_this_server_and_with_the_scope_opens_it(clients: Clients) -> None:
    hr, _, viewer = clients
    without = await hr.http.get("/scim/v2/Users")
    wrong = await hr.http.get("/scim/v2/Users", headers={"authorization": "Bearer x"})
    reading = await viewer.send("GET", "/Users")
    writing = await viewer.send("POST", "/Users", {"schemas": [USER], "userName": "x"})
    searching = await viewer.send(
        "POST", "/Users/.search", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
    )

    assert [one.status_code for one in (without, wrong, reading, writing, searching)] == [401, 401, 200, 403, 200]
    assert without.headers["www-authenticate"].startswith(f'Bearer realm="{ISSUER}/scim"')
    assert without.headers["content-type"] == "application/scim+json"
    assert writing.json()["status"] == "403"


async def test_a_client_sees_and_changes_what_it_provisions_and_nothing_else(clients: Clients) -> None:
    hr, other, _ = clients
    mine = await hr.user("hamlet", emails=[{"value": "hamlet@corp.example"}])
    team = await hr.group("royals", mine["id"])
    async with hr.database.write() as session:
        local = await create_user(session, NewUser("yorick"), actor="test", now=clock.now())
    path = f"/Users/{mine['id']}"

    seen = [await other.send("GET", path), await other.send("DELETE", path), await hr.send("GET", f"/Users/{local.id}")]
    changed = await other.patch(mine, {"op": "replace", "path": "active", "value": False})
    stolen = await other.send(
        "POST",
        "/Groups",
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "g",
            "members": [{"value": mine["id"]}],
        },
    )
    taken = [
        await other.send("POST", "/Users", {"schemas": [USER], "userName": "HAMLET"}),
        await other.send("POST", "/Users", {"schemas": [USER], "userName": "Yorick"}),
        await other.send(
            "POST", "/Users", {"schemas": [USER], "userName": "h2", "emails": [{"value": "HAMLET@corp.example"}]}
        ),
    ]

    assert [one.status_code for one in (*seen, changed)] == [404, 404, 404, 404]
    assert (stolen.status_code, stolen.json()["scimType"]) == (400, "invalidValue")
    assert [(one.status_code, one.json()["scimType"]) for one in taken] == [(409, "uniqueness")] * 3
    assert await other.found("Users", 'userName eq "hamlet"') == []
    assert await other.found("Groups", f'id eq "{team["id"]}"') == []


async def test_a_person_provisioned_is_an_account_managed_by_the_client(scim: Scim) -> None:
    made = await scim.user(
        "hamlet@corp.example",
        externalId="4711",
        name={"givenName": "Hamlet", "familyName": "Prince"},
        **{ENTERPRISE: {"department": "Castle"}},
    )
    async with scim.database.read() as session:
        account = await find_by_login(session, "hamlet@corp.example")

    assert account is not None
    assert (account.id, account.username, account.name) == (made["id"], "hamlet", "Hamlet Prince")
    assert (account.managed_by, account.email_verified, account.disabled) == ("scim:hr", True, False)
    assert made[ENTERPRISE] == {"department": "Castle"}
    assert made["schemas"] == [USER, ENTERPRISE]
    assert made["meta"]["version"] == 'W/"1"'


async def test_inactive_is_disabled_and_who_was_disabled_by_hand_stays_so(scim: Scim) -> None:
    made = await scim.user("hamlet")
    await scim.patch(made, {"op": "Replace", "value": {"active": "False"}})
    async with scim.database.read() as session:
        off = await find_by_login(session, "hamlet")
    await scim.patch(made, {"op": "replace", "path": "active", "value": True})
    async with scim.database.write() as session:
        await disable_user(session, made["id"], actor="admin", now=clock.now())

    renamed = await scim.patch(made, {"op": "replace", "path": "displayName", "value": "Prince"})
    async with scim.database.read() as session:
        by_hand = await find_by_login(session, "hamlet")
    allowed = await scim.patch(made, {"op": "replace", "path": "active", "value": True})

    assert off is not None
    assert by_hand is not None
    assert (off.disabled, by_hand.disabled) == (True, True)
    assert renamed.json()["active"] is False
    assert allowed.json()["active"] is True


@pytest.mark.spec("RFC 7644 §3.4.2.2")
@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ('userName eq "HAMLET"', {"hamlet"}),
        ('externalId eq "A1"', {"hamlet"}),
        ('externalId eq "a1"', set()),
        ('emails.value eq "H@Corp.example"', {"hamlet"}),
        ('emails[type eq "work" and value co "corp"]', {"hamlet"}),
        ('emails[type eq "home" and value co "corp"]', set()),
        ("title pr", {"hamlet"}),
        ("not (title pr)", {"ophelia"}),
        ('userName sw "o" or title eq "prince"', {"hamlet", "ophelia"}),
        ('userName sw "o" and title eq "prince"', set()),
        ('name.familyName co "PRI"', {"hamlet"}),
        ("active eq true", {"hamlet", "ophelia"}),
        ("active eq false", set()),
        ('userName gt "m"', {"ophelia"}),
        ('meta.created gt "2020-01-01T00:00:00Z"', {"hamlet", "ophelia"}),
        (f'{ENTERPRISE}:department eq "castle"', {"hamlet"}),
        (f'{USER}:userName ew "lia"', {"ophelia"}),
        ('title ne "prince"', {"ophelia"}),
        ('(userName eq "hamlet") and (not (title eq "king"))', {"hamlet"}),
    ],
)
async def test_rfc7644_3_4_2_2__filters_find(scim: Scim, filter_: str, names: set[str]) -> None:
    await scim.user(
        "hamlet",
        externalId="A1",
        title="Prince",
        name={"familyName": "Prince"},
        emails=[{"value": "h@corp.example", "type": "work"}, {"value": "h@home.example", "type": "home"}],
        **{ENTERPRISE: {"department": "Castle"}},
    )
    await scim.user("ophelia")

    answer = await scim.send("GET", "/Users", filter=filter_)

    assert {one["userName"] for one in answer.json()["Resources"]} == names
    assert answer.json()["totalResults"] == len(names)


@pytest.mark.spec("RFC 7644 §3.12")
@pytest.mark.parametrize(
    "filter_",
    [
        "userName", "userName eq", 'userNam eq "x"', 'userName is "x"', '(userName eq "x"', 'userName eq "x" and',
        "active gt true", 'userName eq "x', "userName eq x", "name eq true", 'emails[type eq "x"', "not title pr",
        "(" * 40 + 'userName eq "x"' + ")" * 40, 'userName eq "' + "x" * 1001 + '"', 'meta.created gt "soon"', "[]",
    ],
)  # fmt: skip
async def test_rfc7644_3_12__what_is_no_filter_is_told(scim: Scim, filter_: str) -> None:
    answer = await scim.send("GET", "/Users", filter=filter_)

    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter")


@pytest.mark.spec("RFC 7644 §3.5.2")
async def test_rfc7644_3_5_2__paths_with_filters_change_single_values(scim: Scim) -> None:
    made = await scim.user("hamlet", emails=[{"value": "a@corp.example", "type": "work", "primary": True}])

    added = await scim.patch(
        made,
        {"op": "add", "path": 'emails[type eq "home"].value', "value": "b@home.example"},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "c@corp.example"},
        {"op": "add", "path": 'emails[type eq "home"].primary', "value": True},
        {"op": "add", "path": "name.givenName", "value": "Hamlet"},
        {"op": "add", "value": {f"{ENTERPRISE}:department": "Castle", "unknownThing": 1}},
    )
    removed = await scim.patch(
        made, {"op": "remove", "path": 'emails[value ew "corp.example"]'}, {"op": "remove", "path": "name"}
    )

    assert added.json()["emails"] == [
        {"value": "c@corp.example", "type": "work", "primary": False},
        {"type": "home", "value": "b@home.example", "primary": True},
    ]
    assert added.json()["name"] == {"givenName": "Hamlet"}
    assert added.json()[ENTERPRISE] == {"department": "Castle"}
    assert [one["value"] for one in removed.json()["emails"]] == ["b@home.example"]
    assert "name" not in removed.json()
    async with scim.database.read() as session:
        assert await find_by_login(session, "b@home.example") is not None


@pytest.mark.spec("RFC 7644 §3.12")
@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ({"op": "replace", "path": "nothing", "value": 1}, "invalidPath"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "path": 'emails[type eq "x"].value', "value": "x"}, "noTarget"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": ""}, "invalidValue"),
        ({"op": "move", "path": "userName", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "path": 'emails[type zz "x"].value', "value": "x"}, "invalidFilter"),
    ],
)
async def test_rfc7644_3_12__a_patch_that_cannot_be_changes_nothing(
    scim: Scim, operation: dict[str, object], kind: str
) -> None:
    made = await scim.user("hamlet")

    answer = await scim.patch(made, {"op": "add", "path": "title", "value": "Prince"}, operation)
    after = await scim.send("GET", f"/Users/{made['id']}")

    assert (answer.status_code, answer.json()["scimType"]) == (400, kind)
    assert after.json() == made


@pytest.mark.spec("RFC 7644 §3.14")
async def test_rfc7644_3_14__versions_guard_against_changes_made_meanwhile(scim: Scim) -> None:
    made = await scim.user("hamlet")
    old, path = {"if-match": made["meta"]["version"]}, f"/Users/{made['id']}"
    body = {"schemas": [USER], "userName": "hamlet", "title": "Prince"}

    first = await scim.send("PUT", path, body, headers=old)
    second = await scim.send("PUT", path, {**body, "title": "King"}, headers=old)
    gone = await scim.send("DELETE", path, headers=old)
    same = await scim.send("GET", path, headers={"if-none-match": first.headers["etag"]})

    assert [one.status_code for one in (first, second, gone, same)] == [200, 412, 412, 304]
    assert first.headers["etag"] == 'W/"2"'


@pytest.mark.spec("RFC 7644 §3.4.2.4")
async def test_pages_by_number_and_by_cursor_show_everybody_once(scim: Scim) -> None:
    names = {(await scim.user(f"person{number}"))["id"] for number in range(7)}

    numbered = [
        one["id"]
        for start in (1, 4, 7)
        for one in (await scim.send("GET", "/Users", startIndex=str(start), count="3")).json()["Resources"]
    ]
    by_cursor, cursor, turns = [], "", 0
    while turns < 10:
        page = (await scim.send("GET", "/Users", cursor=cursor, count="3")).json()
        by_cursor += [one["id"] for one in page["Resources"]]
        turns += 1
        if "nextCursor" not in page:
            break
        cursor = page["nextCursor"]
    none = await scim.send("GET", "/Users", count="0")

    assert sorted(numbered) == sorted(by_cursor) == sorted(names)
    assert (none.json()["totalResults"], none.json()["Resources"]) == (7, [])


@pytest.mark.spec("RFC 7644 §3.9")
async def test_only_the_attributes_that_are_asked_for_are_answered(scim: Scim) -> None:
    made = await scim.user("hamlet", title="Prince", name={"givenName": "H", "familyName": "P"})
    path = f"/Users/{made['id']}"

    some = await scim.send("GET", path, attributes="userName,name.givenName")
    others = await scim.send("GET", path, excludedAttributes="title,meta,name.givenName")

    assert some.json() == {"schemas": [USER], "id": made["id"], "userName": "hamlet", "name": {"givenName": "H"}}
    assert set(others.json()) == {"schemas", "id", "userName", "active", "name"}
    assert others.json()["name"] == {"familyName": "P"}


@pytest.mark.spec("RFC 7644 §3.7")
async def test_rfc7644_3_7__a_bulk_request_resolves_ids_in_any_order(scim: Scim) -> None:
    group = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "royals",
        "members": [{"value": "bulkId:hamlet"}],
    }
    operations = [
        {"method": "POST", "path": "/Groups", "bulkId": "royals", "data": group},
        {"method": "POST", "path": "/Users", "bulkId": "hamlet", "data": {"schemas": [USER], "userName": "hamlet"}},
        {"method": "POST", "path": "/Users", "bulkId": "again", "data": {"schemas": [USER], "userName": "hamlet"}},
        {"method": "DELETE", "path": "/Users/nobody"},
        {"method": "POST", "path": "/Groups", "bulkId": "x", "data": {**group, "members": [{"value": "bulkId:zz"}]}},
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}

    answer = await scim.send("POST", "/Bulk", body)
    done = answer.json()["Operations"]
    made = await scim.send("GET", done[0]["location"])
    stopped = await scim.send("POST", "/Bulk", {**body, "failOnErrors": 1, "Operations": operations[2:]})
    many = await scim.send("POST", "/Bulk", {**body, "Operations": [operations[3]] * 101})

    assert [one["status"] for one in done] == ["201", "201", "409", "404", "409"]
    assert made.json()["members"][0]["value"] == done[1]["location"].rpartition("/")[2]
    assert len(stopped.json()["Operations"]) == 1
    assert many.status_code == 413


async def test_members_are_put_in_and_taken_out_and_groups_stand_in_groups(scim: Scim) -> None:
    people = [(await scim.user(f"person{number}"))["id"] for number in range(3)]
    inner = await scim.group("inner", people[0])
    outer = await scim.group("outer", inner["id"])

    await scim.patch(inner, {"op": "add", "path": "members", "value": [{"value": one} for one in people[1:]]})
    await scim.patch(inner, {"op": "remove", "path": f'members[value eq "{people[0]}"]'})
    await scim.patch(inner, {"op": "remove", "path": "members", "value": [{"value": people[1]}]})
    after = await scim.send("GET", inner["meta"]["location"])
    nested = await scim.send("GET", outer["meta"]["location"])
    circle = await scim.patch(inner, {"op": "add", "path": "members", "value": [{"value": outer["id"]}]})
    person = await scim.send("GET", f"/Users/{people[2]}")
    replaced = await scim.patch(inner, {"op": "replace", "path": "members", "value": [{"value": people[0]}]})
    emptied = await scim.patch(inner, {"op": "remove", "path": "members"})
    removed = await scim.send("DELETE", outer["meta"]["location"])

    assert [one["value"] for one in after.json()["members"]] == [people[2]]
    assert [(one["value"], one["type"]) for one in nested.json()["members"]] == [(inner["id"], "Group")]
    assert circle.status_code == 400
    assert [one["display"] for one in person.json()["groups"]] == ["inner"]
    assert [one["value"] for one in replaced.json()["members"]] == [people[0]]
    assert "members" not in emptied.json()
    assert removed.status_code == 204


async def test_what_is_no_request_is_refused_in_the_words_of_scim(scim: Scim) -> None:
    answers = [
        await scim.send("GET", "/Nothing"),
        await scim.send("PUT", "/Users"),
        await scim.send("GET", "/Me"),
        await scim.send("POST", "/Users", {"userName": "x"}),
        await scim.send("POST", "/Users", {"schemas": [USER]}),
        await scim.send("POST", "/Users", {"schemas": [USER], "userName": "x"}, headers={"content-type": "text/plain"}),
        await scim.send("GET", "/Schemas", filter='id eq "x"'),
        await scim.send("GET", "/Users", count="many"),
        await scim.send("GET", "/Users/%00"),
    ]

    assert [one.status_code for one in answers] == [404, 405, 501, 400, 400, 415, 403, 400, 404]
    assert all(one.headers["content-type"] == "application/scim+json" for one in answers)
