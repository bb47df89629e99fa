"""The nouns of bound tokens at the gateway."""

from __future__ import annotations

from typing import Literal

Bound = Literal["as_issued", "required"]
"""`as_issued`: a token that is bound needs its key or certificate, another passes as it is. `required`: a token that is
bound to nothing does not pass."""
