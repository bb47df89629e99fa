"""Writes the reference of `kronborg.yaml` from the document itself: a JSON Schema, and a page for people.

python -m kronborg.gateway.declare.schema docs/reference
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from kronborg.core.durations import write_duration
from kronborg.gateway.declare.document import Document


class _Generator(GenerateJsonSchema):
    """Defaults as a file writes them (`15m`), no titles that only repeat names."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, BaseModel):
            return dft.model_dump(mode="json", exclude_defaults=True)
        if is_dataclass(dft):
            return {}
        if isinstance(dft, timedelta):
            return write_duration(dft)
        return super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> str:
    """The JSON Schema (2020-12) of a kronborg.yaml."""
    document = Document.model_json_schema(schema_generator=_Generator)
    models: list[type[BaseModel]] = [Document, *_sections(Document)]
    sections = {model.__name__: model for model in models}
    for name, schema in (*document["$defs"].items(), (Document.__name__, document)):
        if name in sections:
            _mend(sections[name], schema)
        else:
            schema.pop("title", None)  # a value of a slice, whose defaults are plain JSON
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kronborg.yaml",
    }
    document.pop("title", None)
    return json.dumps({**head, **document}, indent=2, ensure_ascii=False) + "\n"


def _mend(model: type[BaseModel], schema: dict[str, Any]) -> None:
    """Defaults as the file spells them: pydantic would write durations as ISO 8601."""
    for name, field in model.model_fields.items():
        member = schema.get("properties", {}).get(name, {})
        if "default" in member and not field.is_required():
            member["default"] = _default(model, name)
        if "patternProperties" in member:
            member["additionalProperties"] = False
    schema.pop("title", None)


def _default(model: type[BaseModel], name: str) -> Any:
    value = model.model_fields[name].get_default(call_default_factory=True, validated_data={})
    dumped = model.model_construct(**{name: value}).model_dump(mode="json", include={name})[name]
    return {} if isinstance(value, BaseModel) or is_dataclass(value) else dumped


def _section_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _section_in(inner)
        if found is not None:
            return found
    return None


def _sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in model.model_fields.values():
        section = _section_in(field.annotation)
        if section is not None:
            yield section
            yield from _sections(section)


if __name__ == "__main__":
    sys.stdout.write(json_schema())
