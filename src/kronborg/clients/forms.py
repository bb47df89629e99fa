"""Clients and APIs as forms: what a form of the console says, as a draft. Every check is that of `register`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from functools import cache
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

import orjson

from kronborg.clients import settings as settings_module
from kronborg.clients.model import GRANTS, Api, ApiDraft, Client, ClientDraft, Scope
from kronborg.clients.reading import read_settings
from kronborg.clients.settings import UNSET, UNSET_API, Settings
from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonObject, JsonValue

MOST_LINES = 200
Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting as a form shows it: `kind` is `bool`, `choice`, `number`, `lines`, `json` or `text`."""

    name: str
    kind: str
    explanation: str
    value: str
    default: str
    choices: tuple[str, ...] = ()

    @property
    def chosen(self) -> bool:
        """Whether it differs from what is usual."""
        return self.value != self.default


def lines(text: str) -> tuple[str, ...]:
    """The lines of a text area, trimmed, each once."""
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines()[:MOST_LINES] if line.strip()))


def draft_from(client: Client) -> ClientDraft:
    """The draft that would leave this client as it is."""
    return ClientDraft(**{one.name: getattr(client, one.name) for one in fields(ClientDraft)})


def client_draft(form: Form, base: ClientDraft, *, scopes: Iterable[str] | None) -> ClientDraft:
    """What the form of a client says about it; the settings stay. `scopes` are those it offered as boxes to tick.

    Raises `Invalid` for keys that are no JSON.
    """
    ticked = None if scopes is None else [name for name in scopes if f"scope:{name}" in form]
    return replace(
        base,
        name=form.get("name", "").strip(),
        kind=form.get("kind", base.kind),
        auth_method=form.get("auth_method", base.auth_method),
        redirect_uris=lines(form.get("redirect_uris", "")),
        post_logout_redirect_uris=lines(form.get("post_logout_redirect_uris", "")),
        web_origins=lines(form.get("web_origins", "")),
        grants=_in_order(base.grants, [grant for grant in GRANTS if f"grant:{grant}" in form]),
        scopes=lines(form.get("scopes", "")) if ticked is None else _in_order(base.scopes, ticked),
        audiences=lines(form.get("audiences", "")),
        jwks=_keys(form.get("jwks", "")),
        first_party="first_party" in form,
    )


def api_draft(form: Form, audience: str, base: Api | None = None) -> ApiDraft:
    """What the form of an API says. Its scopes are lines of `name description`. Raises `Invalid`."""
    try:
        minutes = float(form.get("minutes", ""))
        lifetime = timedelta(minutes=minutes)
    except (ValueError, OverflowError):
        raise Invalid(Problem("minutes", "is not a number")) from None
    scopes = []
    for line in form.get("scopes", "").splitlines()[: MOST_LINES + 1]:
        name, _, description = line.strip().partition(" ")
        if name:
            scopes.append(Scope(name, description.strip()))
    return ApiDraft(
        audience,
        form.get("name", "").strip(),
        tuple(scopes),
        form.get("token_format", "jwt"),
        lifetime,
        UNSET_API if base is None else base.settings,
    )


def setting_fields(settings: Settings) -> tuple[SettingField, ...]:
    """Every setting with its value and what it means, in the order of the reference."""
    kind = type(settings)
    hints, said, unset = get_type_hints(kind), explanations(kind.__name__), UNSET if kind is type(UNSET) else UNSET_API
    shown = []
    for one in fields(kind):
        way, choices = _way_of(hints[one.name])
        value, default = (_text(getattr(owner, one.name), way) for owner in (settings, unset))
        shown.append(SettingField(one.name, way, said.get(one.name, ""), value, default, choices))
    return tuple(shown)


def settings_of(form: Form, kind: type[Settings]) -> Settings:
    """The settings that a form says; an empty field means the default. Raises `Invalid` with every problem."""
    values: dict[str, JsonValue] = {}
    hints, unset = get_type_hints(kind), kind()
    problems = []
    for one in fields(kind):
        way, _ = _way_of(hints[one.name])
        text = form.get(one.name, "").strip()
        default = getattr(unset, one.name)
        if way == "bool":
            if (one.name in form) != default:
                values[one.name] = one.name in form
        elif text != _text(default, way) and text:
            try:
                values[one.name] = _value(text, way)
            except ValueError:
                problems.append(Problem(one.name, "cannot be read", f"it is a {way}"))
    if problems:
        raise Invalid(*problems)
    return read_settings(kind, values)


@cache
def explanations(name: str) -> Mapping[str, str]:
    """What stands below each field of a dataclass of `settings.py`: one text for reference, API and page."""
    tree = ast.parse(inspect.getsource(settings_module))
    [found] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    said = {}
    for field, text in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            said[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split()).replace("`", "")
    return said


def _in_order(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """What is ticked: first what was there before, in its order, so that saving a form as it stands changes nothing."""
    return (*(one for one in before if one in now), *(one for one in now if one not in before))


def _way_of(hint: object) -> tuple[str, tuple[str, ...]]:
    inside = [one for one in get_args(hint) if one is not type(None)] if _is_union(hint) else [hint]
    choices = tuple(str(value) for one in inside if get_origin(one) is Literal for value in get_args(one))
    if bool in inside:
        return "bool", ()
    if int in inside:
        return "number", ()
    if choices:
        return "choice", (("", *choices) if _is_union(hint) and type(None) in get_args(hint) else choices)
    if any(get_origin(one) is tuple for one in inside):
        return "lines", ()
    return ("text", ()) if str in inside else ("json", ())


def _is_union(hint: object) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _text(value: object, way: str) -> str:
    if value is None:
        return ""
    if way == "bool":
        return "1" if value else ""
    if way == "lines" and isinstance(value, tuple):
        return "\n".join(str(one) for one in value)
    if way == "json":
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if value else ""
    return str(value)


def _value(text: str, way: str) -> JsonValue:
    if way == "number":
        return int(text)
    if way == "lines":
        return list(lines(text))
    if way == "json":
        found: JsonValue = orjson.loads(text)
        return found
    return text


def _keys(text: str) -> JsonObject | None:
    if not text.strip():
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid(Problem("jwks", "is not JSON", "paste the public keys as a JWK set")) from None
    if not isinstance(found, dict):
        raise Invalid(Problem("jwks", "is not a JSON object", 'write {"keys": [...]}'))
    return found
