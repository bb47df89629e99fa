"""The generated reference: fresh, a valid JSON Schema, and of one mind with the reader."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from declare.conftest import RICH
from kronborg.cli.plan import starter_text
from kronborg.core.errors import Invalid
from kronborg.gateway.declare.read import read_text
from kronborg.gateway.declare.schema import json_schema
from kronborg.gateway.declare.yaml_tree import Tree, read_yaml

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "kronborg.schema.json"


def plain(tree: Tree) -> object:
    """The tree as JSON has it."""
    if isinstance(tree, tuple):
        return [plain(item) for item in tree]
    return {key: plain(item) for key, item in tree.items()} if isinstance(tree, dict) else tree


def test_the_committed_reference_is_fresh() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == json_schema(), "run make docs"


def test_every_key_is_described() -> None:
    schema = json.loads(json_schema())

    described = [schema, *schema["$defs"].values()]
    members = [(name, member) for one in described for name, member in one["properties"].items()]
    bare = [name for name, member in members if not {"description", "$ref"} & member.keys()]

    assert bare == []


@pytest.mark.parametrize("text", [RICH.read_text(encoding="utf-8"), starter_text()], ids=["rich", "starter"])
def test_the_schema_accepts_what_the_reader_accepts(text: str) -> None:
    validator = jsonschema_rs.Draft202012Validator(json.loads(json_schema()))

    read_text(text, name="k.yaml")

    assert list(validator.iter_errors(plain(read_yaml(text).tree))) == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nusers: {a: {password: hunter2}}",
        "version: 1\nclientz: {}",
        "version: 1\napis: {Bad_Name: {audience: x, name: y}}",
        "version: 1\nserver: {session: {idle: soon}}",
        "apis: {}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    validator = jsonschema_rs.Draft202012Validator(json.loads(json_schema()))

    with pytest.raises(Invalid):
        read_text(text, name="k.yaml")

    assert not validator.is_valid(plain(read_yaml(text).tree))
