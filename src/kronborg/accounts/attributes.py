"""The attributes of people: values are held against the schema of the installation, wherever they come from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from kronborg.accounts.model import User, clean, printable
from kronborg.accounts.settings import Attribute, By
from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.languages import N_, Phrase

MAX_TEXT = 300


def checked_attributes(
    schema: Sequence[Attribute],
    before: JsonObject,
    given: JsonObject,
    *,
    by: By,
    complete: bool = False,
) -> JsonObject:
    """What is kept once `given` is set over `before`; an empty value takes one away.

    `complete`: nothing that the schema requires may be missing then. What the schema does not name (any more) stays as
    it is and cannot be set. Raises `Invalid` naming each as `attributes.<name>`.
    """
    known = {one.name: one for one in schema}
    problems = [
        Problem(f"attributes.{name}"[:60], N_("there is no such attribute"), N_("name one of the schema"))
        for name in given
        if name not in known
    ]
    after: dict[str, JsonValue] = dict(before)
    for name, one in known.items():
        if name not in given:
            continue
        where = f"attributes.{name}"
        value, problem = _value(one, given[name])
        if problem is not None:
            problems.append(Problem(where, *problem))
        elif by == "person" and one.write == "admin":
            if value != before.get(name):
                problems.append(Problem(where, N_("only administrators can change this"), N_("ask one of them")))
        elif value is None:
            after.pop(name, None)
        else:
            after[name] = value
    if complete:
        problems += [
            Problem(f"attributes.{one.name}", N_("this is needed"), N_("fill it in"))
            for one in schema
            if one.required and one.name not in after and not any(p.where.endswith(f".{one.name}") for p in problems)
        ]
    if problems:
        raise Invalid(*problems)
    return after


def in_form(schema: Sequence[Attribute], form: Mapping[str, str]) -> JsonObject:
    """The attributes that a person may write, as a form has them (`attribute.<name>`); what is not there is empty."""
    found: dict[str, JsonValue] = {}
    for one in schema:
        if one.write != "person":
            continue
        text = form.get(f"attribute.{one.name}", "").strip()
        if one.kind == "boolean":
            found[one.name] = text == "yes"
        elif one.kind == "number" and text:
            found[one.name] = _number(text)
        else:
            found[one.name] = text or None
    return found


def readable(schema: Sequence[Attribute], attributes: JsonObject) -> JsonObject:
    """What the person may see."""
    return {one.name: attributes[one.name] for one in schema if one.read == "person" and one.name in attributes}


def attribute_claims(schema: Sequence[Attribute], user: User, scopes: Collection[str]) -> JsonObject:
    """What clients with these scopes are told (OIDC Core §5.1.2)."""
    return {
        one.claim: user.attributes[one.name]
        for one in schema
        if one.claim is not None and one.name in user.attributes and one.scope in scopes
    }


def _number(text: str) -> JsonValue:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return text
    return value if abs(value) < 1e15 else text


def _value(one: Attribute, given: JsonValue) -> tuple[JsonValue, tuple[str, str] | None]:
    """The value as it is kept, None for an empty one; or what is wrong with it, and the mend."""
    if given is None or given == "":
        return None, None
    match one.kind:
        case "boolean":
            return (
                (given, None)
                if isinstance(given, bool)
                else (None, (N_("this is not yes or no"), N_("say true or false")))
            )
        case "number":
            if isinstance(given, bool) or not isinstance(given, (int, float)) or abs(given) >= 1e15:
                return None, (N_("this is not a number"), N_("write digits"))
            return given, None
        case "choice":
            return (
                (given, None) if given in one.choices else (None, (N_("this is none of the choices"), N_("pick one")))
            )
        case "text":
            if not isinstance(given, str):
                return None, (N_("this is not a text"), N_("write text"))
            text = clean(given)
            if len(text) > MAX_TEXT or not printable(text):
                return None, (
                    N_("this cannot be shown"),
                    Phrase(N_("use at most %(num)s printable characters"), num=MAX_TEXT),
                )
            return text or None, None
