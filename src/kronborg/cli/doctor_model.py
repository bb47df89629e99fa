"""What the doctor says: findings with severity, clause and mend. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `subject` is what it is about: `server`, `client web`, `route orders`."""

    severity: Severity
    subject: str
    detail: str
    clause: str
    mend: str


def in_order(findings: list[Finding]) -> list[Finding]:
    """The worst first; the order of checks otherwise."""
    return sorted(findings, key=lambda one: SEVERITIES.index(one.severity))


def exit_code(findings: list[Finding]) -> int:
    """1 when there is an error among them, else 0."""
    return 1 if any(one.severity == "error" for one in findings) else 0
