"""Rights: Cedar policies decide who may do what in the console and, for people, in the admin API.

The policies are text anybody can read: `policies/*.cedar` in the package, and those of a folder of the installation
besides. An action is `<noun>:<verb>`, like `users:read`; it belongs to the group of its verb. What no policy permits is
refused, and what any policy forbids is refused whatever others permit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kronborg.core.errors import Problem

if TYPE_CHECKING:
    from cedarpy import PolicySet

FOLDER = Path(__file__).parent.parent / "policies"
SCHEMA = FOLDER / "schema.cedarschema"
MAX_FILES = 50
MAX_FILE = 1 << 20
# A string, a comment, a line's end, or what ends a policy.
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|\n|;')


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who wants something: all roles, and the ids of the organisations they administer."""

    user_id: str
    roles: tuple[str, ...] = ()
    administers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """What something is wanted of: a noun (`user`), an id, and the organisation it belongs to, if any.

    `privileged` is a person with a role of Kronborg's own, whose account opens more than their own things.
    """

    kind: str
    id: str = ""
    organisation: str = ""
    privileged: bool = False


def is_privileged(roles: Iterable[str]) -> bool:
    """Whether somebody with these roles is more than a user: whoever takes over their account has the console."""
    return any(role.startswith("kronborg:") for role in roles)


@dataclass(frozen=True, slots=True)
class Wish:
    """One question: may this be done to that?"""

    action: str
    resource: Resource


class Policies:
    """The policies of an installation: ours, and those in a folder of its own. Parsed once, at the first question."""

    def __init__(self, own: Path | None = None) -> None:
        self._own = own

    def allows(self, principal: Principal, action: str, resource: Resource) -> bool:
        """Whether some policy permits it and none forbids it."""
        return self.decide(principal, (Wish(action, resource),))[0]

    def decide(self, principal: Principal, wishes: Sequence[Wish]) -> tuple[bool, ...]:
        """The answers to several questions of one person, in their order."""
        from cedarpy import is_authorized_batch  # a native library that only pages of administrators need

        entities: dict[tuple[str, str], dict[str, object]] = {}
        who = _uid("Person", principal.user_id)
        entities["Person", principal.user_id] = {
            "uid": who,
            "attrs": {"id": principal.user_id, "administers": list(principal.administers)},
            "parents": [_uid("Role", role) for role in principal.roles],
        }
        asked: list[dict[str, object]] = []
        for wish in wishes:
            verb, what = wish.action.partition(":")[2], wish.resource
            name = repr((what.kind, what.id, what.organisation, what.privileged))
            attrs: dict[str, object] = {"kind": what.kind, "id": what.id, "privileged": what.privileged}
            if what.organisation:
                attrs["organisation"] = what.organisation
            uid, action = _uid("Resource", name), _uid("Action", wish.action)
            entities["Resource", name] = {"uid": uid, "attrs": attrs, "parents": []}
            entities["Action", wish.action] = {"uid": action, "attrs": {}, "parents": [_uid("Action", verb)]}
            asked.append({"principal": who, "action": action, "resource": uid, "context": {}})
        answers = is_authorized_batch(asked, self._parsed, list(entities.values()))
        return tuple(answer.allowed for answer in answers)

    @cached_property
    def _parsed(self) -> PolicySet:
        from cedarpy import PolicySet

        return PolicySet.from_str("\n".join(path.read_text(encoding="utf-8") for path in _files(self._own)))


def policy_problems(own: Path | None) -> tuple[Problem, ...]:
    """Everything that is wrong with an installation's own policies, by file and line; ours are tested."""
    if own is None:
        return ()
    if not own.is_dir():
        return (Problem("server.policies", "is no folder", "give the folder of your .cedar files"),)
    found = sorted(own.glob("*.cedar"))
    if len(found) > MAX_FILES:
        return (Problem("server.policies", "holds more than 50 files"),)
    return tuple(problem for path in found for problem in _file_problems(path))


def _file_problems(path: Path) -> Iterator[Problem]:
    from cedarpy import validate_policies

    try:
        if path.stat().st_size > MAX_FILE:
            yield Problem(str(path), "is larger than 1 MiB")
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        yield Problem(str(path), "cannot be read as UTF-8 text", "check the file and who may read it")
        return
    schema = SCHEMA.read_text(encoding="utf-8")
    for line, policy in _policies_of(text):
        for error in validate_policies(policy, schema).errors:
            told = error.error.removeprefix("Policy parse error: ").replace("for policy `policy0`, ", "")
            yield Problem(
                f"{path}:{line}", told.encode("ascii", "replace").decode()[:300], "see the schema of policies"
            )


def _policies_of(text: str) -> Iterator[tuple[int, str]]:
    """Each policy of a file, with the line on which it begins; what follows the last `;` is one too."""
    start, line, begins = 0, 1, None
    previous = 0
    for token in _TOKEN.finditer(text):
        if begins is None and text[previous : token.start()].strip():
            begins = line
        previous = token.end()
        if token.group() == "\n":
            line += 1
        elif token.group() == ";":
            yield begins or line, text[start : token.end()]
            start, begins = token.end(), None
    rest = text[start:]
    if re.sub(r"//[^\n]*", "", rest).strip():
        yield begins or line, rest


def _files(own: Path | None) -> tuple[Path, ...]:
    return (*sorted(FOLDER.glob("*.cedar")), *(sorted(own.glob("*.cedar")) if own is not None else ()))


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}
