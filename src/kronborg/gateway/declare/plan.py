"""Compares a document with the store: what applying it would make, change and remove, and what drifted meanwhile.

Only what a file made (or took over by declaring it) is removed when it vanishes from the file. Everything else
is listed as unmanaged and left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

import orjson

from kronborg.clients.legacy import legacy_of
from kronborg.clients.model import ClientDraft, own_audiences
from kronborg.core.db import ReadSession
from kronborg.core.errors import Invalid, Problem
from kronborg.core.json import JsonValue
from kronborg.gateway.declare.check import Checked
from kronborg.gateway.declare.compare_secrets import SecretNews, compare_secrets
from kronborg.gateway.declare.current import Current, read_current
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.objects import KINDS, SECRET_OF, Fields, Kind, Object, Ref, fields_of, label_of
from kronborg.gateway.declare.read import MOST_PROBLEMS, Loaded
from kronborg.gateway.declare.secret_sources import Secrets
from kronborg.gateway.declare.wanted import Names, Wanted, wanted_by
from kronborg.gateway.drafts import draft_named
from kronborg.gateway.drafts_store import list_changes
from kronborg.gateway.publish import hosts_of

Action = Literal["create", "update", "delete"]
CHANGED = "(changed)"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after. `drift`: somebody changed it since the file was applied last."""

    name: str
    before: JsonValue
    after: JsonValue
    drift: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One object that would be made, changed or removed. `drift`: it was changed or removed outside the file."""

    action: Action
    kind: Kind
    name: str
    fields: tuple[FieldChange, ...] = ()
    drift: bool = False


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """An object that no file made."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a document would do. `digest` names this document against this state of the store."""

    changes: tuple[Change, ...]
    unmanaged: tuple[Unmanaged, ...]
    notes: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what carrying it out needs."""

    plan: Plan
    wanted: Mapping[Ref, Wanted]
    current: Current
    news: SecretNews


async def make_plan(installation: Installation, loaded: Loaded, secrets: Secrets, *, draft: str = "") -> Planned:
    """Compare a document with the store, or with what the store will be once `draft` is published.

    Raises `Invalid` with every reason why it cannot be applied, `NotFound` when there is no such draft.
    """
    async with installation.database.read() as session:
        wanted, problems, current = await look(session, loaded, secrets)
        if draft:
            current = await _with_draft(session, current, draft)
    news = await compare_secrets(installation, loaded, wanted, current, secrets)
    problems += news.problems
    problems += Checked(
        loaded,
        wanted,
        current,
        _after(wanted, current, installation),
        installation.issuer,
        hosts_of(installation.gateway_url),
        installation.profile,
    ).problems()
    if problems:
        raise Invalid(*problems[:MOST_PROBLEMS])
    return compare(installation, wanted, current, news)


async def _with_draft(session: ReadSession, current: Current, name: str) -> Current:
    """The store as it will be once a draft is published."""
    await draft_named(session, name)
    objects = dict(current.objects)
    for change in await list_changes(session, name):
        if change.after is None:
            objects.pop(Ref(change.kind, change.name), None)
        else:
            objects[Ref(change.kind, change.name)] = change.after
    return replace(current, objects=objects)


async def look(
    session: ReadSession, loaded: Loaded, secrets: Secrets
) -> tuple[dict[Ref, Wanted], list[Problem], Current]:
    """The document as objects, and the store beside it."""
    names = Names({name: api.audience for name, api in loaded.document.apis.items()})
    first, _ = wanted_by(loaded, secrets, names)
    current = await read_current(session, with_secrets_of={ref for ref, one in first.items() if one.secret})
    wanted, problems = wanted_by(loaded, secrets, Names({**current.api_names(), **names.audiences}))
    return wanted, problems, current


def compare(
    installation: Installation,
    wanted: Mapping[Ref, Wanted],
    current: Current,
    news: SecretNews,
) -> Planned:
    """The plan, from both sides and the secrets that are known to differ."""
    changes = []
    for kind in KINDS:
        for ref, one in wanted.items():
            if ref.kind == kind:
                change = _change(one, current, secret=ref in news.fresh)
                if change is not None:
                    changes.append(change)
    for ref in removed(wanted, current, installation):
        made = current.declared[ref]
        changes.append(Change("delete", ref.kind, made.label, drift=_drifted(made.fields, current.objects[ref])))
    unmanaged = tuple(
        Unmanaged(ref.kind, label_of(thing))
        for ref, thing in sorted(current.objects.items(), key=lambda pair: pair[0])
        if ref not in wanted and ref not in current.declared and ref not in _own_apis(installation)
    )
    notes = (*news.notes, *_legacy_notes(wanted))
    plan = Plan(tuple(changes), unmanaged, notes, _digest(wanted, current, news.fresh))
    return Planned(plan, wanted, current, news)


def _legacy_notes(wanted: Mapping[Ref, Wanted]) -> list[str]:
    """What the file allows for the sake of old systems."""
    return [
        f"client {one.label}: {legacy.sentence}"
        for one in wanted.values()
        if isinstance(one.thing, ClientDraft)
        for legacy in legacy_of(one.thing)
    ]


def removed(wanted: Mapping[Ref, Wanted], current: Current, installation: Installation) -> list[Ref]:
    """What a file made, still stands, and is in the file no more; what names others first."""
    gone = [ref for ref in current.declared if ref not in wanted and ref in current.objects]
    # The APIs of the installation itself are never removed: one of them is the way back in.
    gone = [ref for ref in gone if ref not in _own_apis(installation)]
    return sorted(gone, key=lambda ref: (-KINDS.index(ref.kind), ref.key))


def _own_apis(installation: Installation) -> tuple[Ref, ...]:
    return tuple(Ref("api", audience) for audience in own_audiences(installation.issuer))


def _after(wanted: Mapping[Ref, Wanted], current: Current, installation: Installation) -> dict[Ref, Object]:
    """Everything there will be."""
    gone = set(removed(wanted, current, installation))
    stays = {ref: thing for ref, thing in current.objects.items() if ref not in gone}
    return {**stays, **{ref: one.thing for ref, one in wanted.items()}}


def _change(wanted: Wanted, current: Current, *, secret: bool) -> Change | None:
    before_thing = current.objects.get(wanted.ref)
    declared = current.declared.get(wanted.ref)
    after = wanted_fields(wanted, current)
    secret_name = SECRET_OF.get(wanted.ref.kind, "secret")
    hidden: tuple[FieldChange, ...] = (FieldChange(secret_name, None, CHANGED),) if secret else ()
    if wanted.document is not None and wanted.document.digest != current.documents.get(wanted.ref.key):
        news = (current.documents.get(wanted.ref.key), wanted.document.digest)
        hidden += (FieldChange("openapi.document", *news),)
    if before_thing is None:
        told = {name: value for name, value in after.items() if value not in (None, [], {}, False, "")}
        fields = tuple(FieldChange(name, None, value) for name, value in told.items())
        return Change("create", wanted.ref.kind, wanted.label, fields + hidden, drift=declared is not None)
    before = fields_of(before_thing)
    applied = declared.fields if declared else before
    fields = tuple(
        FieldChange(name, before[name], value, drift=name in applied and applied[name] != before[name])
        for name, value in after.items()
        if before[name] != value
    )
    if not fields and not hidden:
        return None
    return Change("update", wanted.ref.kind, wanted.label, fields + hidden, drift=any(one.drift for one in fields))


def wanted_fields(wanted: Wanted, current: Current) -> Fields:
    """What the object shall be; keys that cannot be read here stay as they are."""
    fields = fields_of(wanted.thing)
    stored = current.client(wanted.ref) if wanted.keeps_jwks else None
    return {**fields, "jwks": stored.jwks} if stored else fields


def _drifted(applied: Fields, thing: Object) -> bool:
    return dict(applied) != dict(fields_of(thing))


def _digest(wanted: Mapping[Ref, Wanted], current: Current, fresh: Mapping[Ref, str]) -> str:
    """A name for this document against this state: equal when and only when the plan would do the same."""
    state = {
        "wanted": [[*_pair(ref), wanted_fields(one, current), ref in fresh] for ref, one in sorted(wanted.items())],
        "objects": [[*_pair(ref), fields_of(thing)] for ref, thing in sorted(current.objects.items(), key=_first)],
        "documents": [[ref.key, one.document.digest] for ref, one in sorted(wanted.items(), key=_ref) if one.document],
        "kept": sorted([service, digest] for service, digest in current.documents.items()),
        "declared": [[*_pair(ref), asdict(one)] for ref, one in sorted(current.declared.items(), key=_first)],
    }
    return hashlib.sha256(orjson.dumps(state, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _pair(ref: Ref) -> tuple[str, str]:
    return ref.kind, ref.key


def _ref(pair: tuple[Ref, Wanted]) -> Ref:
    return pair[0]


def _first(pair: tuple[Ref, object]) -> Ref:
    return pair[0]
