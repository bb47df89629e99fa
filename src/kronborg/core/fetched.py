"""What came back from a URL that somebody else chose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `media_type` is in lower case and without parameters; `body` is empty when nothing changed (304)."""

    status: int
    media_type: str
    body: bytes
    etag: str | None = None
    max_age: timedelta | None = None
    """How long it may be kept, if the answer says so; zero when it says that it may not."""
