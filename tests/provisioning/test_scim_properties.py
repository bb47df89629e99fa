"""Filters and patches of SCIM for any input: an answer or a refusal, never anything else."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kronborg.provisioning.filters import Both, Not, matches, narrow_of, parse_filter
from kronborg.provisioning.model import Resource, ScimError
from kronborg.provisioning.patch import Operation, patched
from kronborg.provisioning.reading import chosen, read_resource

NAMES = ("userName", "title", "active", "emails.value", "emails.type", "name.familyName", "meta.created", "externalId")
_WORDS = (
    "userName",
    "eq",
    "pr",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    '"x"',
    "true",
    "emails",
    "type",
    "ne",
    "gt",
    "1",
)
words = st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
emails = st.lists(
    st.fixed_dictionaries(
        {"value": texts.filter(bool)}, optional={"type": st.sampled_from(["work", "home"]), "primary": st.booleans()}
    ),
    max_size=4,
)
users = st.fixed_dictionaries(
    {"userName": texts.filter(lambda text: text.strip() != "")},
    optional={
        "title": texts,
        "active": st.booleans(),
        "emails": emails,
        "name": st.fixed_dictionaries({"familyName": texts}),
    },
)
comparisons = st.sampled_from(
    [
        'userName eq "a"',
        "title pr",
        'emails[type eq "work" and value co "a"]',
        "active eq true",
        'name.familyName sw "b"',
        'title ne "x"',
    ]
)


def told(user: dict[str, Any]) -> Resource:
    return read_resource("User", user)


@given(st.one_of(words, st.text(max_size=60)))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        found = parse_filter("User", text)
    except ScimError:
        return
    assert isinstance(matches(found, {"userName": "x"}), bool)


@given(users, comparisons, comparisons)
def test_filters_obey_logic_and_an_index_never_hides_a_match(user: dict[str, Any], one: str, other: str) -> None:
    resource = told(user)
    left, right = parse_filter("User", one), parse_filter("User", other)
    both, either = parse_filter("User", f"{one} and {other}"), parse_filter("User", f"{one} or {other}")
    opposite = parse_filter("User", f"not ({one})")

    assert isinstance(both, Both)
    assert isinstance(opposite, Not)
    assert matches(both, resource) == (matches(left, resource) and matches(right, resource))
    assert matches(either, resource) == (matches(left, resource) or matches(right, resource))
    assert matches(opposite, resource) == (not matches(left, resource))
    if matches(both, resource):
        for name, value in narrow_of(both).equal.items():
            if name == "userName":
                assert str(resource["userName"]).casefold() == value.casefold()


@given(users, users)
def test_replacing_everything_that_is_said_gives_what_was_said(before: dict[str, Any], after: dict[str, Any]) -> None:
    wanted = told(after)
    operations = tuple(Operation("replace", name, value) for name, value in after.items())

    changed = patched("User", told(before), operations)

    for name, value in wanted.items():
        assert changed[name] == value


@given(users, emails)
def test_adding_twice_is_adding_once_and_removing_leaves_nothing(
    before: dict[str, Any], more: list[dict[str, Any]]
) -> None:
    start = told(before)
    add, remove = Operation("add", "emails", more), Operation("remove", "emails", None)

    once, twice = patched("User", start, (add,)), patched("User", start, (add, add))
    primaries = [one for one in twice.get("emails", []) if isinstance(one, dict) and one.get("primary") is True]  # type: ignore[union-attr]
    none = patched("User", once, (remove,))

    values = [[str(one["value"]) for one in changed.get("emails", [])] for changed in (once, twice)]  # type: ignore[union-attr,index,call-overload]
    assert sorted(set(values[0])) == sorted(set(values[1]))
    assert len(primaries) <= 1
    assert "emails" not in none
    assert start == told(before)


@given(users, st.lists(st.sampled_from(NAMES), max_size=4), st.lists(st.sampled_from(NAMES), max_size=4))
def test_what_is_asked_for_is_part_of_what_there_is(user: dict[str, Any], only: list[str], but: list[str]) -> None:
    resource = {"id": "1", "schemas": ["x"], **told(user)}

    shown = chosen("User", resource, only=only, but=but)

    assert shown.keys() <= resource.keys()
    assert {"id", "schemas"} <= shown.keys()
