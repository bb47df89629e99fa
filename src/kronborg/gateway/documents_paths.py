"""Paths of an OpenAPI document with places in them, and what stands there in a request (OpenAPI 3.1 section 4.8.8).

A place takes one letter or more of one segment. Segments are gone through once from their end: an expression would go
back and forth over a path that callers choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Segment:
    """What is fixed in a segment, and between two such texts the name of a place."""

    fixed: tuple[str, ...]
    names: tuple[str, ...]

    def read(self, text: str) -> Iterator[tuple[str, str]] | None:
        """What stands in its places; None when the segment is another one. The first place takes all it can."""
        first, end = len(self.fixed[0]), len(text) - len(self.fixed[-1])
        fine = text.startswith(self.fixed[0]) and text.endswith(self.fixed[-1])
        if not self.names:
            return iter(()) if text == self.fixed[0] else None
        found: list[str] = []
        for between in reversed(self.fixed[1:-1]) if fine else ():
            at = text.rfind(between, first + 1, max(end - 1, 0))
            if at < 0:
                return None
            found.append(text[at + len(between) : end])
            end = at
        if not fine or end <= first:
            return None
        return zip(self.names, reversed([*found, text[first:end]]), strict=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """A path with places."""

    segments: tuple[Segment, ...]

    def read(self, path: str) -> dict[str, str] | None:
        """What stands in its places, undecoded; None for another path."""
        parts = path.split("/")
        if len(parts) != len(self.segments):
            return None
        found: dict[str, str] = {}
        for segment, part in zip(self.segments, parts, strict=True):
            places = segment.read(part)
            if places is None:
                return None
            found.update(places)
        return found


def shape_of(path: str) -> Shape:
    """A path as a document writes it: `/orders/{id}/print`."""
    made: list[tuple[list[str], list[str]]] = [([""], [])]
    for number, piece in enumerate(PLACE.split(path)):
        if number % 2:
            made[-1][1].append(piece)
            made[-1][0].append("")
            continue
        here, *others = piece.split("/")
        made[-1][0][-1] += here
        made += [([other], []) for other in others]
    return Shape(tuple(Segment(tuple(fixed), tuple(names)) for fixed, names in made))
