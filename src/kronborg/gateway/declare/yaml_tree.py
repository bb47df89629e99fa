"""Reads YAML 1.2 strictly: plain values, and for each of them the line and column it stands at.

Stricter than YAML where leniency hides mistakes or costs memory: one document, no repeated keys, no tags, no
merge keys, keys are text, depth and size bounded. Anchors and aliases work, but what they expand to is counted.
The parser's events are read in a loop, so that deep nesting cannot exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_TEXT = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 250_000

Tree = None | bool | int | float | str | tuple["Tree", ...] | Mapping[str, "Tree"]
Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_LONG_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_OLD_WORDS = frozenset({"yes", "no", "on", "off", "y", "n", "null", "true", "false"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both counted from one."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with the text itself."""

    at: Position
    detail: str
    mend: str


@dataclass(slots=True)
class Reading:
    """What one text holds: its value, where each key and value stands, and what is wrong with it."""

    tree: Tree = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    path: Path
    at: Position
    anchor: str | None
    mapping: dict[str, Tree] | None
    sequence: list[Tree]
    key: str | None = None
    size: int = 1


class _Stop(Exception):
    """The rest of the text is not worth reading; the flaw is noted."""


def read_yaml(text: str) -> Reading:
    """The value of `text`, with every flaw found; `tree` is usable even when some keys were repeated."""
    reading = Reading()
    if len(text) > MAX_TEXT or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        reading.flaws.append(
            Flaw(Position(1, 1), "is larger than 1 MiB", "split users and clients off, or import them")
        )
        return reading
    bad = _CONTROL.search(text.replace("\r\n", "\n"))
    if bad is not None:
        before = text.replace("\r\n", "\n")[: bad.start()]
        at = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        reading.flaws.append(Flaw(at, "holds a control character", "delete it"))
        return reading
    try:
        _Builder(reading).run(YAML(typ="rt", pure=True).parse(text))
    except _Stop:
        pass
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        reading.flaws.append(Flaw(at, "is not YAML", _reason(error)))
    except (YAMLError, ValueError, AssertionError, IndexError, OverflowError):
        # the parser answers some odd texts with its own bugs: an escape above U+10FFFF is a ValueError
        reading.flaws.append(Flaw(Position(1, 1), "is not YAML", "check it with a YAML 1.2 parser"))
    return reading


def plain_means_text(text: str) -> bool:
    """Whether a plain scalar of these characters is read as this text by every version of YAML."""
    if not re.fullmatch(r"[A-Za-z0-9/._+-][A-Za-z0-9 /._+:@-]*", text) or text != text.strip():
        return False
    if re.search(r":( |$)", text) or text.startswith(("-", ".", "+")) or text.casefold() in _OLD_WORDS:
        return False
    return re.match(r"[0-9]", text) is None or re.fullmatch(r"[0-9]+(ms|s|m|h|d|B|KiB|MiB)", text) is not None


def _reason(error: MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return _CONTROL.sub("?", ", ".join(parts))[:200]


class _Builder:
    """Turns events into values; one per text."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Tree, int]] = {}
        self._nodes = 0
        self._documents = 0

    def run(self, events: Iterator[Event]) -> None:
        """Read every event. Raises `_Stop` at a flaw that makes the rest meaningless."""
        for event in events:
            match event:
                case DocumentStartEvent():
                    self._documents += 1
                    if self._documents > 1:
                        self._stop(event, "holds a second document", "keep one document in the file")
                case ScalarEvent():
                    self._check(event)
                    self._scalar(event)
                case AliasEvent():
                    self._alias(event)
                case MappingStartEvent() | SequenceStartEvent():
                    self._check(event)
                    self._start(event)
                case MappingEndEvent() | SequenceEndEvent():
                    self._end()
                case _:
                    pass

    def _check(self, event: ScalarEvent | CollectionStartEvent) -> None:
        self._count(event, 1)
        if event.tag is not None and str(event.tag) != "!":
            self._flaw(event, "carries a tag", "write the plain value")

    def _count(self, event: Event, size: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            self._stop(event, "expands to too many values", "use fewer aliases or fewer objects")

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        if self._in_key():
            self._stop(event, "uses a collection as a key", "keys are plain text")
        if len(self._stack) >= MAX_DEPTH:
            self._stop(event, "is nested too deeply", f"at most {MAX_DEPTH} levels")
        mapping: dict[str, Tree] | None = {} if isinstance(event, MappingStartEvent) else None
        self._stack.append(_Open(self._path(), _at(event), event.anchor, mapping, []))

    def _end(self) -> None:
        closed = self._stack.pop()
        value: Tree = closed.mapping if closed.mapping is not None else tuple(closed.sequence)
        self._add(value, closed.at, closed.size, closed.anchor)

    def _scalar(self, event: ScalarEvent) -> None:
        if _CONTROL.search(event.value):
            self._flaw(event, "holds a control character", "delete the escape")
            event.value = _CONTROL.sub("", event.value)
        if self._in_key():
            self._key(event)
            return
        self._add(self._plain(event) if event.implicit[0] else event.value, _at(event), 1, event.anchor)

    def _alias(self, event: AliasEvent) -> None:
        if self._in_key():
            self._stop(event, "uses an alias as a key", "write the key")
        found = self._anchors.get(str(event.anchor))
        if found is None:
            self._stop(event, "names an anchor that is not defined above it", "define it with & first")
        else:
            value, size = found
            self._count(event, size)
            self._add(value, _at(event), size, None)

    def _key(self, event: ScalarEvent) -> None:
        frame = self._stack[-1]
        key = str(event.value)[:300]
        path = (*frame.path, key)
        if frame.mapping is not None and key in frame.mapping:
            first = self._reading.keys[path].line
            self._flaw(event, f"repeats the key {key!r}", f"line {first} has it already")
        else:
            self._reading.keys[path] = _at(event)
        frame.key = key

    def _add(self, value: Tree, at: Position, size: int, anchor: str | None) -> None:
        """Put a finished value where it belongs; of a repeated key the first value stays."""
        if anchor:
            self._anchors[str(anchor)] = (value, size)
        path = self._path()
        self._reading.values.setdefault(path, at)
        if not self._stack:
            self._reading.tree = value
            return
        frame = self._stack[-1]
        frame.size += size
        if frame.mapping is None:
            frame.sequence.append(value)
        elif frame.key is not None:
            frame.mapping.setdefault(frame.key, value)
            frame.key = None

    def _plain(self, event: ScalarEvent) -> Tree:
        """The YAML 1.2 core schema (§10.3.2): `yes` and `012` are text and twelve, never true and ten."""
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _LONG_INT.fullmatch(text):
            self._flaw(event, "is a number too large", "at most 18 digits")
            return 0
        return float(text) if _FLOAT.fullmatch(text) else text

    def _in_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].mapping is not None and self._stack[-1].key is None

    def _path(self) -> Path:
        if not self._stack:
            return ()
        frame = self._stack[-1]
        return (*frame.path, frame.key if frame.key is not None else len(frame.sequence))

    def _flaw(self, event: Event, detail: str, mend: str) -> None:
        self._reading.flaws.append(Flaw(_at(event), detail, mend))
        if len(self._reading.flaws) >= 100:
            raise _Stop

    def _stop(self, event: Event, detail: str, mend: str) -> None:
        self._flaw(event, detail, mend)
        raise _Stop


def _at(event: Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1)
