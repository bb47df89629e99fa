"""What a service's OpenAPI document and its routes have to do with each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from kronborg.core.errors import Invalid
from kronborg.gateway.documents_compile import Compiled, compile_document
from kronborg.gateway.documents_read import operations_of
from kronborg.gateway.model import Route

_PLACE = re.compile(r"\{[^/]*")


@dataclass(frozen=True, slots=True)
class Coverage:
    """`uncovered`: routes whose paths the document does not know. `unchecked`: routes that it knows, and whose requests
    are not held against it."""

    uncovered: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def coverage(text: str, routes: Iterable[Route]) -> Coverage:
    """How the routes of a service stand to its document, by their names."""
    document = orjson.loads(text)
    try:
        compiled = compile_document(document)
    except Invalid:
        return Coverage()
    paths = [base + path for base in compiled.bases for path, *_ in operations_of(document)]
    uncovered, unchecked = [], []
    for route in routes:
        if not _covers(compiled, paths, route):
            uncovered.append(route.name)
        elif route.content is None or route.content.validate == "off":
            unchecked.append(route.name)
    return Coverage(tuple(uncovered), tuple(unchecked))


def _covers(compiled: Compiled, paths: list[str], route: Route) -> bool:
    rewrite, stem = route.rewrite, route.path.stem
    exact = route.path.value if route.path.kind == "exact" else None
    # The document is of what the service sees.
    if rewrite is not None and rewrite.path is not None:
        exact, stem = (rewrite.path if "{" not in rewrite.path else None), _PLACE.split(rewrite.path)[0].rstrip("/")
    elif rewrite is not None and rewrite.prefix is not None:
        stem = rewrite.prefix.rstrip("/")
    if exact is not None:
        return bool(compiled.find(exact)[0])
    # A place stands for whole segments: what both say for certain must not differ.
    return any(_meet(stem, _PLACE.split(path)[0], below=route.path.kind == "prefix") for path in paths)


def _meet(stem: str, known: str, *, below: bool) -> bool:
    if below and not stem:
        return True
    return known == stem or known.startswith(f"{stem}/") or (known.endswith("/") and f"{stem}/".startswith(known))
