"""Rights: Cedar policies decide who may do what in the console and, for people, in the admin API.

The policies are text anybody can read: `policies/*.cedar` in the package. An action is `<noun>:<verb>`, like
`users:read`; it belongs to the group of its verb. What no policy permits is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "policies"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who wants something: all roles, and the ids of the organisations they administer."""

    user_id: str
    roles: tuple[str, ...] = ()
    administers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """What something is wanted of: a noun (`user`), an id, and the organisation it belongs to, if any."""

    kind: str
    id: str = ""
    organisation: str = ""


class Policies:
    """The policies of an installation; parsed at the first question."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def allows(self, principal: Principal, action: str, resource: Resource) -> bool:
        """Whether some policy permits it and none forbids it."""
        from cedarpy import Decision, is_authorized  # a native library that only pages of administrators need

        who = {"type": "User", "id": principal.user_id}
        what = {"type": resource.kind.capitalize(), "id": resource.id or "*"}
        belongs = {"organisation": resource.organisation} if resource.organisation else {}
        verb = action.partition(":")[2]
        entities: list[dict[str, object]] = [
            {
                "uid": who,
                "attrs": {"administers": list(principal.administers)},
                "parents": [{"type": "Role", "id": role} for role in principal.roles],
            },
            {"uid": what, "attrs": belongs, "parents": []},
            {"uid": {"type": "Action", "id": action}, "attrs": {}, "parents": [{"type": "Action", "id": verb}]},
        ]
        asked = {"principal": who, "action": {"type": "Action", "id": action}, "resource": what, "context": {}}
        return is_authorized(asked, self._text, entities).decision == Decision.Allow

    @cached_property
    def _text(self) -> str:
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted(self._folder.glob("*.cedar")))
