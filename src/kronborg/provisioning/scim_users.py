"""People as a SCIM client provisions them: each is an account that this client manages, and no other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kronborg.accounts.model import MAX_NAME, MAX_USERNAME, User, folded, name_problems
from kronborg.accounts.store import find_by_login, find_user
from kronborg.accounts.users import NewUser, UserChange, create_user, delete_user, update_user
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, Invalid
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject
from kronborg.provisioning import scim_store as store
from kronborg.provisioning.model import ENTERPRISE, USER, Kept, Resource, ScimError, bad_value, gone

_NOT_IN_NAMES = re.compile(r"[^\w.+-]+")
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Client:
    """Who provisions; `base` is the address of the server as its answers name it."""

    id: str
    base: str

    @property
    def manager(self) -> str:
        """What stands in `managed_by` of its people."""
        return f"scim:{self.id}"


async def shown_users(session: ReadSession, client: Client, found: Sequence[Kept]) -> list[Resource]:
    """People as they are answered."""
    groups = await store.groups_of_users(session, [one.id for one in found])
    shown = []
    for one in found:
        user = await find_user(session, one.id)
        if user is not None:
            shown.append(_shown(client, one, user, groups.get(one.id, [])))
    return shown


async def make_user(session: Session, client: Client, told: Resource, *, now: datetime) -> Kept:
    """Make a person. Raises `ScimError`."""
    user_name, email = _user_name(told), _email(told)
    told = {"active": True, **told}
    new = NewUser(
        await _free_username(session, user_name),
        email,
        _name(told),
        disabled=told.get("active") is False,
        managed_by=client.manager,
        email_verified=email is not None,
    )
    user_id = new_id()
    await _check_email(session, email, user_id)
    kept = Kept(user_id, client.id, _external_id(told), told, 1, now, now)
    try:
        await create_user(session, new, actor=client.manager, now=now, user_id=user_id)
    except (Conflict, Invalid) as refusal:
        raise _told_in_scim(refusal) from None
    await store.add(session, "User", kept, user_name, _emails(told))
    return kept


async def change_user(session: Session, client: Client, before: Kept, told: Resource, *, now: datetime) -> Kept:
    """Make a person what `told` says. Raises `ScimError`."""
    user = await find_user(session, before.id)
    if user is None or user.managed_by != client.manager:
        raise gone()
    user_name, email = _user_name(told), _email(told)
    renamed = folded(user_name) != folded(str(before.told.get("userName", "")))
    await _check_email(session, email, user.id)
    # Who was disabled here by hand stays so until the client says something else than before.
    was, active = before.told.get("active") is not False, told.get("active") is not False
    change = UserChange(
        username=await _free_username(session, user_name, user) if renamed else None,
        email=email or "",
        name=_name(told),
        disabled=None if was == active else not active,
        email_verified=email is not None,
    )
    try:
        await update_user(session, user.id, change, actor=client.manager, now=now, by_source=True)
    except (Conflict, Invalid) as refusal:
        raise _told_in_scim(refusal) from None
    if dict(before.told) == told:
        return before
    kept = Kept(before.id, client.id, _external_id(told), told, before.version + 1, before.created_at, now)
    if not await store.replace(session, "User", kept, user_name, version=before.version, emails=_emails(told)):
        raise ScimError(412, "the resource has changed since it was read")
    return kept


async def remove_user(session: Session, client: Client, kept: Kept, *, now: datetime) -> None:
    """Remove a person with everything that hangs on the account."""
    user = await find_user(session, kept.id)
    if user is None or user.managed_by != client.manager:
        raise gone()
    await delete_user(session, kept.id, actor=client.manager, now=now)


def _shown(client: Client, kept: Kept, user: User, groups: Sequence[tuple[str, str]]) -> Resource:
    told = dict(kept.told)
    resource: Resource = {
        "schemas": [USER, ENTERPRISE] if ENTERPRISE in told else [USER],
        "id": kept.id,
        **told,
        "meta": meta_of("User", kept, client.base),
    }
    if user.disabled:
        resource["active"] = False  # whoever has disabled the account
    if groups:
        resource["groups"] = [
            {"value": group_id, "$ref": f"{client.base}/Groups/{group_id}", "display": name}
            for group_id, name in groups
        ]
    return resource


def meta_of(kind: str, kept: Kept, base: str) -> JsonObject:
    """RFC 7643 §3.1."""
    return {
        "resourceType": kind,
        "created": kept.created_at.isoformat().replace("+00:00", "Z"),
        "lastModified": kept.updated_at.isoformat().replace("+00:00", "Z"),
        "location": f"{base}/{kind}s/{kept.id}",
        "version": kept.etag,
    }


def _user_name(told: Resource) -> str:
    name = told.get("userName")
    if not isinstance(name, str) or not name.strip() or len(name) > 254:
        raise bad_value("userName is a text of 1 to 254 characters")
    return name.strip()


def _external_id(told: Resource) -> str | None:
    value = told.get("externalId")
    return value if isinstance(value, str) else None


def _emails(told: Resource) -> list[str]:
    """Every address, the preferred one first."""
    found = told.get("emails")
    values = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    values.sort(key=lambda one: (one.get("primary") is not True, one.get("type") != "work"))
    return [value for one in values if isinstance(value := one.get("value"), str)]


def _email(told: Resource) -> str | None:
    """The address that the account has: the preferred one, or the userName when that is one."""
    for one in [*_emails(told), str(told.get("userName", ""))]:
        if not name_problems(email=one.strip()):
            return one.strip()
    return None


def _name(told: Resource) -> str:
    """The name that is shown."""
    parts = told.get("name")
    name = parts if isinstance(parts, dict) else {}
    whole = " ".join(str(name[part]) for part in ("givenName", "familyName") if name.get(part))
    for one in (told.get("displayName"), name.get("formatted"), whole):
        if isinstance(one, str) and one.strip():
            text = one.strip()[:MAX_NAME]
            return "" if name_problems(name=text) else text
    return ""


async def _free_username(session: Session, user_name: str, user: User | None = None) -> str:
    """The userName where that is a possible username; of an address what stands before the @, made unlike others."""
    if not name_problems(username=user_name):
        owner = await find_by_login(session, user_name)
        if owner is not None and (user is None or owner.id != user.id):
            raise ScimError(409, "there is an account of this name already", "uniqueness")
        return user_name
    stem = _NOT_IN_NAMES.sub("-", user_name.partition("@")[0]).strip("._+-")[: MAX_USERNAME - 4] or "person"
    for number in range(1, _TRIES):
        name = stem if number == 1 else f"{stem}-{number}"
        owner = None if name_problems(username=name) else await find_by_login(session, name)
        if not name_problems(username=name) and (owner is None or (user is not None and owner.id == user.id)):
            return name
    return f"{stem[:32]}-{new_id().replace('-', '')[-12:]}"


async def _check_email(session: Session, email: str | None, user_id: str) -> None:
    if email is None:
        return
    owner = await find_by_login(session, email)
    if owner is not None and owner.id != user_id:
        raise ScimError(409, "there is an account with this e-mail address already", "uniqueness")


def _told_in_scim(refusal: Conflict | Invalid) -> ScimError:
    if isinstance(refusal, Conflict):
        return ScimError(409, "there is an account of this name or address already", "uniqueness")
    return bad_value("an account cannot be made of these values")
