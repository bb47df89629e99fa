"""Reading kronborg.yaml: every mistake at once, each with line, column and the nearest name that exists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kronborg.core.errors import Invalid, Problem
from kronborg.core.quantities import parse_duration, parse_size, write_duration, write_size
from kronborg.gateway.declare.document import load
from kronborg.gateway.declare.read import read_bytes, read_text
from kronborg.gateway.declare.yaml_tree import plain_means_text, read_yaml


def wrong(text: str) -> list[Problem]:
    with pytest.raises(Invalid) as refused:
        read_text(text, name="k.yaml")
    return list(refused.value.problems)


@pytest.mark.parametrize(
    ("text", "where", "detail", "mend"),
    [
        ("version: 1\nclientz: {}", "k.yaml:2:1 clientz", "is not a known key", "did you mean clients?"),
        (
            "version: 1\nusers:\n  a: {grops: [x]}",
            "k.yaml:3:7 users.a.grops",
            "is not a known key",
            "did you mean groups?",
        ),
        ("version: 1\nversion: 1", "k.yaml:2:1", "repeats the key 'version'", "line 1 has it already"),
        (
            "version: 1\nclients:\n  web:\n    name: Web\n    kind: public\n    settings: {jwksuri: 'https://a.example'}",
            "k.yaml:6:16 clients.web.settings.jwksuri",
            "is not a known key",
            "did you mean jwks_uri?",
        ),
        (
            "version: 1\napis:\n  shop:\n    name: Shop\n    audience: a:b\n    settings: {signing_algo: ES256}",
            "k.yaml:6:16 apis.shop.settings.signing_algo",
            "is not a known key",
            "did you mean signing_alg?",
        ),
        (
            "version: 1\nclients:\n  web:\n    name: Web\n    kind: public\n    settings: {subject_type: secret}",
            "k.yaml:6:30 clients.web.settings.subject_type",
            "is not one of the known values",
            "use 'public' or 'pairwise'",
        ),
        (
            "version: 1\nclients:\n  web:\n    name: Web\n    kind: public\n    settings: [subject_type]",
            "k.yaml:6:15 clients.web.settings",
            "must be a mapping",
            "write its keys below it",
        ),
        (
            "version: 1\nclients:\n  web:\n    name: Web\n    kind: public\n    settings: {request_uris: x}",
            "k.yaml:6:30 clients.web.settings.request_uris",
            "must be a list",
            "write [one, two]",
        ),
        ("version: 2", "k.yaml:1:10 version", "is not one of the known values", "use 1"),
        ("apis: {}", "k.yaml:1:1 version", "is missing", "add it"),
        ("version: 1\nusers: [a]", "k.yaml:2:8 users", "must be a mapping", "write its keys below it"),
        ("version: 1\nusers:\n  a: {name: 12}", "k.yaml:3:13 users.a.name", "must be text", "put it in quotes"),
        ("version: 1\nusers:\n  a: {groups: x}", "k.yaml:3:15 users.a.groups", "must be a list", "write [one, two]"),
        (
            "version: 1\nusers:\n  a: {password: hunter2}",
            "k.yaml:3:17 users.a.password",
            "stands in the clear",
            "write { env: NAME } or { file: path } and keep it there",
        ),
        (
            "version: 1\nserver: {database: 'postgresql://u:secret@h/d'}",
            "k.yaml:2:20 server.database",
            "holds a password in the clear",
            "give the URL in KRONBORG_DATABASE, or leave the password to PGPASSWORD",
        ),
        (
            "version: 1\nserver: {session: {idle: soon}}",
            "k.yaml:2:26 server.session.idle",
            "is not a duration",
            "write 30s, 15m, 2h or 14d",
        ),
        (
            "version: 1\nservices:\n  Bad_Name: {url: 'http://127.0.0.1:1'}",
            "k.yaml:3:3 services.Bad_Name",
            "is not a possible name",
            "use lower-case letters, digits and dashes, at most 63",
        ),
        (
            "version: 1\nroutes:\n  r: {service: s}",
            "k.yaml:3:6 routes.r",
            "needs one of path, prefix, template or regex",
            "",
        ),
        ("a: [1, 2", "k.yaml:1:9", "is not YAML", None),
        ("version: 1\n---\nversion: 1", "k.yaml:2:1", "holds a second document", "keep one document in the file"),
        ("version: !!int 1", "k.yaml:1:10", "carries a tag", "write the plain value"),
        ("[" * 100, "k.yaml:1:33", "is nested too deeply", "at most 32 levels"),
        ("a: &a [*a]", "k.yaml:1:8", "names an anchor that is not defined above it", "define it with & first"),
        ("? [a]\n: b", "k.yaml:1:3", "uses a collection as a key", "keys are plain text"),
        ("", "k.yaml:1:1", "is empty", "begin with version: 1, or see kronborg init"),
        ("a: \x00", "k.yaml:1:4", "holds a control character", "delete it"),
        ('version: "\\0"', "k.yaml:1:10", "holds a control character", "delete the escape"),
        ("# " + "x" * (1 << 20), "k.yaml:1:1", "is larger than 1 MiB", None),
    ],
)
def test_a_mistake_names_its_line_and_its_mend(text: str, where: str, detail: str, mend: str | None) -> None:
    found = wrong(text)

    assert (found[0].where, found[0].detail) == (where, detail)
    assert mend is None or found[0].mend == mend


def test_every_mistake_is_told_at_once() -> None:
    text = "version: 1\nusers:\n  a: {nam: A}\n  b: {emial: x}\nroutez: {}\nserver: {isuer: x}\n"

    found = wrong(text)

    assert {one.where.split(" ")[1] for one in found} == {"users.a.nam", "users.b.emial", "routez", "server.isuer"}
    assert {one.mend for one in found} == {
        "did you mean name?",
        "did you mean email?",
        "did you mean routes?",
        "did you mean issuer?",
    }


def test_no_message_holds_a_secret() -> None:
    found = wrong("version: 1\nusers:\n  a: {password: hunter2, name: [hunter2]}\n  b: {password: {env: 'hunter 2'}}")

    assert len(found) == 3
    assert "hunter" not in repr(found)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    found = wrong("\n".join(lines))

    assert found[0].detail == "expands to too many values"


def test_anchors_save_repetition() -> None:
    text = "version: 1\ngroups:\n  a: {roles: &r [x, y]}\n  b: {roles: *r}\n"

    document = read_text(text, name="k.yaml").document

    assert document.groups["b"].roles == ("x", "y")


def test_yaml_1_2_leaves_words_alone() -> None:
    reading = read_yaml("a: yes\nb: 012\nc: 1:30\nd: 0o17\ne: off\nf: true\ng: ~\n")

    assert reading.tree == {"a": "yes", "b": 12, "c": "1:30", "d": 15, "e": "off", "f": True, "g": None}


def test_a_file_that_is_not_there_or_not_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as missing:
        load(tmp_path / "none.yaml")
    with pytest.raises(Invalid) as latin:
        read_bytes(b"version: 1\nname: \xe6", name="k.yaml")

    assert missing.value.problems[0].detail.startswith("cannot be read")
    assert latin.value.problems[0].where == "k.yaml:2:1"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(), st.text(alphabet=":-[]{}&*!|>'\"%@#?,\n \t\\ax0.~<")))
def test_any_text_gives_a_document_or_a_list_of_problems(text: str) -> None:
    told = [problems_of(candidate) for candidate in (text, f"version: 1\n{text}", f"version: 1\nusers: {{{text}}}")]

    assert all(one.where.startswith("k.yaml:") and one.detail for problems in told for one in problems)


def problems_of(text: str) -> tuple[Problem, ...]:
    """The problems of a text; none when it is a document. Anything else that is raised fails the test."""
    try:
        read_text(text, name="k.yaml")
    except Invalid as refused:
        return refused.problems
    return ()


@given(st.binary(max_size=200))
def test_any_bytes_give_a_document_or_a_list_of_problems(raw: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        read_bytes(raw, name="k.yaml")

    assert refused.value.problems


@given(st.integers(min_value=0, max_value=9_999_999).map(lambda n: timedelta(milliseconds=n)))
def test_a_written_duration_reads_as_itself(value: timedelta) -> None:
    assert parse_duration(write_duration(value)) == value


@given(st.integers(min_value=0, max_value=999_999_999))
def test_a_written_size_reads_as_itself(value: int) -> None:
    assert parse_size(write_size(value)) == value


@given(st.text(alphabet="aA1:-. /@_+yesnoYNtrufl0x", max_size=12))
def test_text_written_plain_reads_as_itself(text: str) -> None:
    if plain_means_text(text):
        assert read_yaml(f"a: {text}\n").tree == {"a": text}
