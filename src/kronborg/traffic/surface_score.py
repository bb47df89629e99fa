"""The score of an attack surface: one number from 0 to 100 that falls with each finding and rises with each mended one.

    score = floor(100 × 100 ÷ (100 + P)),   P = Σ over kinds of finding: weight × (1 + log2(how many of that kind))

The weight is 60 for critical, 20 for high, 6 for medium and 1 for low. Many findings of one kind count by their
logarithm, so that a hundred routes without a limit do not hide the one that is open. Acknowledged findings do not
count. Without findings the score is 100, with any it is less; it never depends on how large the installation is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from kronborg.traffic.surface_model import SEVERITIES, Finding, Severity

WEIGHTS: Mapping[Severity, int] = {"critical": 60, "high": 20, "medium": 6, "low": 1}


def score_of(findings: Iterable[Finding]) -> int:
    """The score of the findings that nobody acknowledged."""
    kinds = Counter((one.kind, one.severity) for one in findings)
    penalty = sum(WEIGHTS[severity] * (1 + math.log2(count)) for (_, severity), count in kinds.items())
    return math.floor(100 * 100 / (100 + penalty))


def counts_of(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many there are of each severity."""
    found = Counter(one.severity for one in findings)
    return {severity: found[severity] for severity in SEVERITIES}


def worth_of(findings: Iterable[Finding]) -> list[tuple[str, Severity, int, float]]:
    """What each kind takes away: kind, severity, how many, its part of P; the gravest first."""
    kinds = Counter((one.kind, one.severity) for one in findings)
    told = [(kind, sev, count, WEIGHTS[sev] * (1 + math.log2(count))) for (kind, sev), count in kinds.items()]
    return sorted(told, key=lambda one: (SEVERITIES.index(one[1]), -one[3], one[0]))
