"""Reads a file into a document, or says everything that is wrong with it: file, line, column, and the mend.

Problems of the text come first; when the text is readable, those of the document; references are looked at
in `references.py`, because what they may name is also in the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from pathlib import Path as FilePath
from typing import get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kronborg.core.errors import Invalid, Problem
from kronborg.core.suggest import nearest
from kronborg.core.wording import said
from kronborg.gateway.declare.document import Document
from kronborg.gateway.declare.yaml_tree import MAX_TEXT, Path, Position, Reading, Tree, read_yaml

MOST_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Source:
    """A text and where each of its keys and values stands. `folder` is where relative paths start, if anywhere."""

    name: str
    reading: Reading
    folder: FilePath | None = None

    def problem(self, path: Path, detail: str, mend: str = "", *, key: bool = False) -> Problem:
        """A problem at a place of the document; the nearest place above it that the text has, if it has it not."""
        at = self._position(path, key=key)
        where = f"{self.name}:{at.line}:{at.column}"
        shown = ".".join(str(part) for part in path)
        return Problem(f"{where} {shown}" if shown else where, detail, mend)

    def _position(self, path: Path, *, key: bool) -> Position:
        """Where the key or the value stands."""
        if not key and path in self.reading.values:
            return self.reading.values[path]
        for length in range(len(path), 0, -1):
            for places in (self.reading.keys, self.reading.values):
                if path[:length] in places:
                    return places[path[:length]]
        return Position(1, 1)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document and the text it was read from."""

    document: Document
    source: Source


def read_file(path: FilePath) -> Loaded:
    """The document in a file. Raises `Invalid`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise Invalid(
            Problem(str(path), f"cannot be read: {error.strerror}", "check the path, or kronborg init")
        ) from None
    return read_bytes(raw, name=path.name, folder=path.absolute().parent)


def read_bytes(raw: bytes, *, name: str, folder: FilePath | None = None) -> Loaded:
    """The document in these bytes. Raises `Invalid`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Invalid(Problem(f"{name}:{line}:1", "is not UTF-8", "save the file as UTF-8")) from None
    return read_text(text, name=name, folder=folder)


def read_text(text: str, *, name: str, folder: FilePath | None = None) -> Loaded:
    """The document in a text. Raises `Invalid` with every problem found."""
    reading = read_yaml(text)
    source = Source(name, reading, folder)
    problems = [Problem(f"{name}:{f.at.line}:{f.at.column}", f.detail, f.mend) for f in reading.flaws]
    if reading.tree is None:
        if not problems:
            problems.append(Problem(f"{name}:1:1", "is empty", "begin with version: 1, or see kronborg init"))
        raise Invalid(*problems)
    document = None
    try:
        document = Document.model_validate(_without_nothing(reading.tree))
    except ValidationError as error:
        problems += _told(error.errors(include_url=False, include_context=True), source)
    if document is None or problems:
        raise Invalid(*problems[:MOST_PROBLEMS])
    return Loaded(document, source)


def _without_nothing(tree: Tree) -> object:
    """The tree without keys that say nothing at the top (`users:` with all of it commented out)."""
    if isinstance(tree, dict):
        return {key: value for key, value in tree.items() if value is not None}
    return tree


def _told(errors: Iterable[ErrorDetails], source: Source) -> list[Problem]:
    problems = []
    for error in errors:
        path = tuple(error["loc"])
        kind = error["type"]
        if kind in ("extra_forbidden", "unexpected_keyword_argument"):
            known = _fields_at(path[:-1])
            problems.append(source.problem(path, "is not a known key", nearest(str(path[-1]), known), key=True))
        elif kind == "missing":
            problems.append(source.problem(path, "is missing", "add it", key=True))
        elif path and path[-1] == "[key]":
            mend = "use lower-case letters, digits and dashes, at most 63"
            problems.append(source.problem(path[:-1], "is not a possible name", mend, key=True))
        else:
            detail, _, mend = said(error).partition("; ")
            problems.append(source.problem(path, detail, mend))
    return problems


def _fields_at(path: Path) -> tuple[str, ...]:
    """The keys that the model knows at a place of the document."""
    model: type = Document
    for part in path:
        below = _fields_of(model).get(str(part))
        # What is no field is the name of an entry: its section is the one we are in already.
        found = model if below is None else _section_in(below)
        if found is None:
            return ()
        model = found
    return tuple(_fields_of(model))


def _fields_of(model: type) -> dict[str, object]:
    """What a section, or the settings of a client or an API, may hold: names and types."""
    if issubclass(model, BaseModel):
        return {name: field.annotation for name, field in model.model_fields.items()}
    return dict(get_type_hints(model)) if is_dataclass(model) else {}


def _section_in(annotation: object) -> type | None:
    """The section inside `X | None`, `dict[Name, X]` and the like."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_in(inner)
        if found is not None:
            return found
    return None
