"""The statements on DPoP proofs that were used: one row each, until the proof would be refused for its age."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.db import to_micros
from kronborg.core.group_writer import Execute

_USE = "INSERT INTO tokens_proofs (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1"


def use_proof(execute: Execute, digest: bytes, *, expires_at: datetime) -> bool:
    """Remember a proof until it expires; False when it was used before, on whatever node."""
    return bool(execute(_USE, (digest, to_micros(expires_at))))
