"""Formulas: what a policy asks of a request, in a form that says when it is true and can be turned around."""

from __future__ import annotations

from dataclasses import dataclass

Plain = str | bool | int
Names = tuple[str, ...]


class Outside(Exception):
    """A policy says something that the proxy cannot decide; the message says what."""


class Malformed(Exception):
    """The text is no Cedar policy."""


@dataclass(frozen=True, slots=True)
class Test:
    """One question to a request: `kind` of thing, by its `path`, and the value compared with."""

    kind: str
    path: Names = ()
    value: Plain = ""

    __test__ = False


@dataclass(frozen=True, slots=True)
class Both:
    """All of them; of none, true."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Some of them; of none, false."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Formula


Formula = Test | Both | Either | Not
TRUE: Formula = Both(())
FALSE: Formula = Either(())


def both(*parts: Formula) -> Formula:
    """All of these, shortened."""
    kept = [part for part in parts if part != TRUE]
    if FALSE in kept:
        return FALSE
    return kept[0] if len(kept) == 1 else Both(tuple(kept))


def either(*parts: Formula) -> Formula:
    """Some of these, shortened."""
    kept = [part for part in parts if part != FALSE]
    if TRUE in kept:
        return TRUE
    return kept[0] if len(kept) == 1 else Either(tuple(kept))


def negated(part: Formula) -> Formula:
    """The opposite, shortened."""
    if isinstance(part, Not):
        return part.part
    return {TRUE: FALSE, FALSE: TRUE}.get(part, Not(part))


def size(part: Formula) -> int:
    """How many parts it has."""
    if isinstance(part, Test):
        return 1
    return 1 + (size(part.part) if isinstance(part, Not) else sum(map(size, part.parts)))
