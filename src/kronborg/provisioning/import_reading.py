"""What an import is made of: JSON lines, CSV, or the export of a Keycloak realm, read line by line.

Every line becomes an `Entry` or tells what is wrong with it. Nothing is kept of the lines before, so that a file may be
of any length; only Keycloak's export, one JSON document, is read whole.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeGuard

import orjson

from kronborg.accounts.model import clean, folded, name_problems, role_problems
from kronborg.core.errors import Problem
from kronborg.core.json import JsonObject, JsonValue
from kronborg.signin.foreign import NotTaken, keycloak_hash, read_hash

Format = Literal["jsonl", "csv", "keycloak"]
FORMATS: Mapping[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".json": "keycloak"}
FIELDS = frozenset({"id", "username", "email", "email_verified", "name", "disabled", "locale"}) | {
    "roles",
    "groups",
    "attributes",
    "password_hash",
}
MAX_LINE = 65_536
MAX_ID = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A person to be made, and where they stand. `encoded` is a hash as `signin.foreign` keeps it."""

    line: int
    username: str
    id: str = ""
    email: str | None = None
    email_verified: bool = False
    name: str = ""
    disabled: bool = False
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    locale: str = ""
    attributes: JsonObject = field(default_factory=dict)
    encoded: str | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that makes nobody, and everything that is wrong with it."""

    line: int
    problems: tuple[Problem, ...]


Line = Entry | Wrong


def read_file(path: Path, format: Format) -> Iterator[Line]:
    """The lines of a file. Raises `OSError`; a file that is none of this is one wrong line."""
    match format:
        case "jsonl":
            yield from _json_lines(path)
        case "csv":
            yield from _rows(path)
        case "keycloak":
            yield from _realm(path)


def entry_of(line: int, given: Mapping[str, JsonValue]) -> Line:
    """What one object says, in the spelling of the admin API and `password_hash`."""
    problems = [
        Problem(name[:60], "there is no such field", "see the how-to for those there are")
        for name in given
        if name not in FIELDS
    ]
    texts = {name: _text(given.get(name), name, problems) for name in ("id", "username", "email", "name", "locale")}
    flags = {name: _flag(given.get(name), name, problems) for name in ("email_verified", "disabled")}
    roles, groups = (_words(given.get(name), name, problems) for name in ("roles", "groups"))
    attributes = given.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        problems.append(Problem("attributes", "this is not an object"))
        attributes = {}
    username, email, name = clean(texts["username"]), clean(texts["email"]) or None, clean(texts["name"])
    problems += name_problems(username=username, email=email, name=name)
    problems += role_problems(roles)
    if len(texts["id"]) > MAX_ID or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in texts["id"]):
        problems.append(Problem("id", "this is not a possible id", f"at most {MAX_ID} of letters, digits and - _ ."))
    if len(texts["locale"]) > 35:
        problems.append(Problem("locale", "this is not a language", "write it like en or pt-BR"))
    encoded = _hash(_text(given.get("password_hash"), "password_hash", problems), problems)
    if problems:
        return Wrong(line, tuple(problems))
    return Entry(
        line,
        username,
        texts["id"],
        email,
        flags["email_verified"],
        name,
        flags["disabled"],
        tuple(sorted(set(roles))),
        groups,
        texts["locale"],
        attributes,
        encoded,
    )


def _json_lines(path: Path) -> Iterator[Line]:
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE + 1):
            number += 1
            if len(raw) > MAX_LINE:
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(MAX_LINE)
                yield Wrong(number, (Problem("line", f"this line is longer than {MAX_LINE} bytes"),))
            elif raw.strip():
                yield _json_line(number, raw)


def _json_line(number: int, raw: bytes) -> Line:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        return Wrong(number, (Problem("line", "this is not a JSON object", "write one object in each line"),))
    return entry_of(number, value)


def _rows(path: Path) -> Iterator[Line]:
    """The first row names the fields; `roles` and `groups` are separated by semicolons; no attributes."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        try:
            names = [name.strip() for name in next(rows, [])]
            unknown = [name for name in names if name not in FIELDS - {"attributes"}]
            if unknown or "username" not in names:
                mend = f"name the columns {', '.join(sorted(FIELDS - {'attributes'}))}"
                yield Wrong(1, (Problem("line", "the first row does not name fields that there are", mend),))
                return
            for row in rows:
                number = rows.line_num
                if len(row) != len(names):
                    yield Wrong(number, (Problem("line", "this row has another number of fields than the first"),))
                    continue
                yield entry_of(number, {name: _cell(name, text) for name, text in zip(names, row, strict=True)})
        except (csv.Error, UnicodeDecodeError):
            yield Wrong(rows.line_num + 1, (Problem("line", "this is not CSV in UTF-8", "what follows was not read"),))


def _cell(name: str, text: str) -> JsonValue:
    if name in ("roles", "groups"):
        return [part.strip() for part in text.split(";") if part.strip()]
    if name in ("email_verified", "disabled"):
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}.get(
            text.strip().lower(), text
        )
    return text


def _realm(path: Path) -> Iterator[Line]:
    """`users` of a realm's export (`kc.sh export`); the number is that of the user in the list."""
    try:
        realm = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        realm = None
    users = realm.get("users") if isinstance(realm, dict) else None
    if not isinstance(users, list):
        yield Wrong(1, (Problem("users", "this is not the export of a Keycloak realm with its users"),))
        return
    for number, user in enumerate(users, 1):
        if not isinstance(user, dict):
            yield Wrong(number, (Problem("users", "this is not an object"),))
        elif not user.get("serviceAccountClientId"):  # those are clients, not people
            yield _keycloak_user(number, user)


def _keycloak_user(number: int, user: Mapping[str, JsonValue]) -> Line:
    name = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if isinstance(part, str) and part)
    groups = user.get("groups")
    given: dict[str, JsonValue] = {
        "id": user.get("id"),
        "username": _keycloak_username(user.get("username")),
        "email": user.get("email"),
        "email_verified": user.get("emailVerified"),
        "name": name,
        "disabled": user.get("enabled") is False,
        # `/staff/night`: the last part is the group's own name.
        "groups": [one.rpartition("/")[2] for one in groups if isinstance(one, str)] if _is_list(groups) else [],
    }
    try:
        given["password_hash"] = _keycloak_password(user.get("credentials"))
    except NotTaken as refusal:
        return Wrong(number, (Problem("credentials", str(refusal)),))
    return entry_of(number, given)


def _keycloak_username(value: JsonValue) -> JsonValue:
    """Usernames have no `@` here: where Keycloak made the address the name, what is before the `@` is."""
    return value.partition("@")[0] if isinstance(value, str) else value


def _keycloak_password(credentials: JsonValue) -> str | None:
    if not _is_list(credentials):
        return None
    for one in credentials:
        if isinstance(one, Mapping) and one.get("type") == "password":
            parts = [_parsed(one.get(name)) for name in ("credentialData", "secretData")]
            return keycloak_hash(parts[0], parts[1])
    return None


def _parsed(text: JsonValue) -> dict[str, object]:
    try:
        value = orjson.loads(text) if isinstance(text, str) else text
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise NotTaken("this credential holds no hash that is known")
    return value


def _is_list(value: JsonValue) -> TypeGuard[list[JsonValue]]:
    return isinstance(value, list)


def _text(value: JsonValue, name: str, problems: list[Problem]) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        problems.append(Problem(name, "this is not a text"))
        return ""
    return value


def _flag(value: JsonValue, name: str, problems: list[Problem]) -> bool:
    if value is not None and not isinstance(value, bool):
        problems.append(Problem(name, "this is not yes or no", "say true or false"))
    return value is True


def _words(value: JsonValue, name: str, problems: list[Problem]) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
        problems.append(Problem(name, "this is not a list of texts"))
        return ()
    words = tuple(str(one) for one in value)
    return tuple({folded(word): word for word in words}.values()) if name == "groups" else words


def _hash(text: str, problems: list[Problem]) -> str | None:
    if not text:
        return None
    try:
        return read_hash(text)
    except NotTaken as refusal:
        problems.append(Problem("password_hash", str(refusal), "leave it out: the person then sets a new password"))
        return None
