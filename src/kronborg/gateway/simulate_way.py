"""A request on its way through the stages, and the trail behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kronborg.gateway.access_model import TokenIssuer
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.reasons import Stage
from kronborg.gateway.simulate_find import Table
from kronborg.gateway.simulate_nouns import STAGES, Call, Decision, Ending, Step


@dataclass(frozen=True, slots=True)
class Ready:
    """A snapshot, read for deciding."""

    snapshot: Snapshot
    tables: Mapping[str, Table]
    bound: frozenset[str]


@dataclass(slots=True)
class Way:
    """A request on its way, and the trail behind it."""

    ready: Ready
    call: Call
    now: datetime
    path: str = ""
    source: TokenIssuer | None = None
    steps: list[Step] = field(default_factory=list)

    def passed(self, stage: Stage, asked: str, found: str = "") -> None:
        """What was asked for is there."""
        self.steps.append(Step(stage, "passed", asked, found))

    def end(
        self, ending: Ending, status: int, reason: str = "", *, route: Route | None = None, last: Step | None = None
    ) -> Decision:
        """The decision, its trail made whole: what was not asked for is unused, what was not come to unreached."""
        if last is not None:
            self.steps.append(last)
        seen = {step.stage: step for step in self.steps}
        stop = STAGES.index(last.stage) if last is not None else len(STAGES)
        trail = tuple(
            seen.get(stage) or (_UNUSED if place < stop else _UNREACHED)[stage] for place, stage in enumerate(STAGES)
        )
        name, service = ("", "") if route is None else (route.name, route.service)
        return Decision(ending, status, reason, name, service, trail, self.now)

    def refuse(
        self, stage: Stage, status: int, reason: str, asked: str, found: str = "", route: Route | None = None
    ) -> Decision:
        """What was asked for is not there."""
        return self.end("refused", status, reason, route=route, last=Step(stage, "refused", asked, found))


_UNUSED = {stage: Step(stage, "unused") for stage in STAGES}
_UNREACHED = {stage: Step(stage, "unreached") for stage in STAGES}
