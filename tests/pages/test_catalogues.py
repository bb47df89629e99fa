"""The words of other languages: fresh, complete, and with the same placeholders and markup as the English ones."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from docs.words import ROOT, catalogue, updated

from kronborg.core.languages import FOLDER, LANGUAGES, NAMES

OTHERS = LANGUAGES[1:]
PARTS = re.compile(r"%\(\w+\)s|<[^>]+>")


def pairs(language: str) -> list[tuple[str, str]]:
    """Each English text, or its plural, and the translation of it."""

    def both(message: Message) -> list[tuple[str, str]]:
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        found = (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))
        return list(zip((*ids, *[ids[-1]] * (len(found) - len(ids))), found, strict=True))

    return [pair for message in catalogue(language) if message.id for pair in both(message)]


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_holds_exactly_the_texts_there_are(language: str) -> None:
    kept = (FOLDER / f"{language}.po").read_bytes()

    fresh = updated(language)

    assert kept == fresh, "run `make words`, then translate what is new"


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated_and_none_is_a_guess(language: str) -> None:
    empty = [english for english, words in pairs(language) if not words]
    guesses = [message.id for message in catalogue(language) if message.id and message.fuzzy]

    assert (empty, guesses) == ([], [])


@pytest.mark.parametrize("language", OTHERS)
def test_placeholders_and_markup_agree(language: str) -> None:
    wrong = [
        english
        for english, words in pairs(language)
        if Counter(PARTS.findall(english)) != Counter(PARTS.findall(words))
        or english.endswith("\n") != words.endswith("\n")
    ]

    assert wrong == []


def test_no_translation_carries_a_percent_sign_that_is_no_placeholder() -> None:
    loose = [words for language in OTHERS for _, words in pairs(language) if "%" in PARTS.sub("", words)]

    assert loose == []


def test_each_language_has_a_name_and_lies_in_the_package() -> None:
    assert set(NAMES) == set(LANGUAGES)
    assert {path.stem for path in Path(FOLDER).glob("*.po")} == set(OTHERS)
    assert FOLDER.is_relative_to(ROOT / "src" / "kronborg")


PAGES = ("oauth", "signin", "factors", "federation", "core")
CONSOLE = re.compile(r'{%-? extends "layouts/console.html"')
UNMARKED = {"XXXX-XXXX"}
"""Shapes, not words."""


def shown_texts(source: str) -> list[str]:
    """Words that people would see and that stand outside of every mark."""
    bare = re.sub(r"{#.*?#}", "", source, flags=re.S)
    bare = re.sub(r"{% block \w+_class %}.*?{% endblock %}", "", bare)
    bare = re.sub(r"{%-? trans\b.*?endtrans -?%}", "", bare, flags=re.S)
    texts = re.findall(r'ui\.(?:notice|button)\("([^"]+)"', bare)
    texts += re.findall(r'ui\.field\("[^"]*", "([^"]+)"', bare)
    texts += re.findall(r'(?:hint|label)="([^"{]+)"', bare)
    without = re.sub(r"{%.*?%}|{{.*?}}", "\0", bare, flags=re.S)
    texts += re.findall(r'(?:aria-label|title|alt|placeholder)="([^"\0]*)"', without)
    texts += re.sub(r"<[^>]*>", "\n", re.sub(r"<(script|style|svg).*?</\1>", "", without, flags=re.S)).split("\n")
    return [text for text in (part.strip(" \0") for part in texts) if re.search(r"[A-Za-z]{2}", text)]


def test_every_text_of_the_pages_of_people_is_marked() -> None:
    templates = [
        path
        for slice_ in PAGES
        for path in sorted((ROOT / "src" / "kronborg" / slice_ / "templates").rglob("*.html"))
        if path.name not in ("console.html", "confirm.html", "letter.html")
        and not CONSOLE.search(path.read_text(encoding="utf-8"))
    ]

    found = {path.name: set(shown_texts(path.read_text(encoding="utf-8"))) - UNMARKED for path in templates}

    assert len(templates) > 30
    assert {name: texts for name, texts in found.items() if texts} == {}
