"""The schema of attributes: what may stand in it, and what may stand in an attribute."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.accounts.attributes import checked_attributes, in_form
from kronborg.accounts.settings import Attribute, PeopleSettings, RegistrationSettings, people_problems
from kronborg.core.errors import Invalid
from kronborg.core.json import JsonValue

SCHEMA = (
    Attribute("team", "Team", required=True),
    Attribute("floor", "Floor", kind="number"),
    Attribute("remote", "Remote", kind="boolean"),
    Attribute("size", "Size", kind="choice", choices=("s", "m")),
    Attribute("grade", "Grade", write="admin"),
)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"nosuch": 1}, "attributes.nosuch"),
        ({"team": 1}, "attributes.team"),
        ({"team": "x\u202ey"}, "attributes.team"),
        ({"team": "x" * 301}, "attributes.team"),
        ({"floor": "3"}, "attributes.floor"),
        ({"floor": True}, "attributes.floor"),
        ({"floor": 1e300}, "attributes.floor"),
        ({"remote": "yes"}, "attributes.remote"),
        ({"size": "xl"}, "attributes.size"),
        ({"size": ["s"]}, "attributes.size"),
    ],
)
def test_values_are_of_their_kind(given: dict[str, JsonValue], where: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_attributes(SCHEMA, {}, given, by="admin")

    assert [problem.where for problem in refused.value.problems] == [where]


def test_what_is_required_is_there_what_is_empty_goes_and_what_is_not_named_stays() -> None:
    kept = checked_attributes(SCHEMA, {"team": "a", "floor": 3, "old": "x"}, {"floor": None, "size": "m"}, by="person")

    assert kept == {"team": "a", "old": "x", "size": "m"}
    with pytest.raises(Invalid, match="invalid"):
        checked_attributes(SCHEMA, {}, {"floor": 3}, by="person", complete=True)
    with pytest.raises(Invalid):
        checked_attributes(SCHEMA, {"team": "a"}, {"team": ""}, by="person", complete=True)


def test_a_person_does_not_write_what_administrators_keep() -> None:
    same = checked_attributes(SCHEMA, {"grade": "a"}, {"grade": "a"}, by="person")

    assert same == {"grade": "a"}
    with pytest.raises(Invalid):
        checked_attributes(SCHEMA, {"grade": "a"}, {"grade": "b"}, by="person")
    assert checked_attributes(SCHEMA, {}, {"grade": "b"}, by="admin") == {"grade": "b"}


@given(st.dictionaries(st.sampled_from([f"attribute.{one.name}" for one in SCHEMA] + ["x"]), st.text(max_size=400)))
def test_whatever_a_form_holds_is_kept_or_refused(form: dict[str, str]) -> None:
    with suppress(Invalid):
        kept = checked_attributes(SCHEMA, {}, in_form(SCHEMA, form), by="person")
        assert set(kept) <= {"team", "floor", "remote", "size"}


@pytest.mark.parametrize(
    ("one", "where"),
    [
        (Attribute("Team", "Team"), "server.people.attributes.Team"),
        (Attribute("team", ""), "server.people.attributes.team.label"),
        (Attribute("team", "T", kind="choice"), "server.people.attributes.team.choices"),
        (Attribute("team", "T", choices=("a",)), "server.people.attributes.team.choices"),
        (Attribute("team", "T", read="admin"), "server.people.attributes.team.read"),
        (Attribute("team", "T", write="admin", required=True), "server.people.attributes.team.required"),
        (Attribute("team", "T", claim="sub"), "server.people.attributes.team.claim"),
        (Attribute("team", "T", claim="email_verified"), "server.people.attributes.team.claim"),
    ],
)
def test_a_schema_that_cannot_hold_is_refused(one: Attribute, where: str) -> None:
    assert [problem.where for problem in people_problems(PeopleSettings(attributes=(one,)))] == [where]


def test_names_claims_domains_and_terms_are_checked() -> None:
    twice = (Attribute("a", "A", claim="c"), Attribute("a", "A"), Attribute("b", "B", claim="c"))
    registration = RegistrationSettings(domains=("Not A Domain",), terms_url="javascript:alert(1)")

    wrong = [problem.where for problem in people_problems(PeopleSettings(registration, twice))]

    assert wrong == [
        "server.people.attributes.a",
        "server.people.attributes",
        "server.people.registration.terms_url",
        "server.people.registration.domains",
    ]
    assert people_problems(PeopleSettings(attributes=SCHEMA)) == []
