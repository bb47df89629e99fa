"""Languages: which one a page is in, and its words.

English is what the code says. Every other language has a catalogue, `locale/<language>.po`, that is read at its first
use. In a template a visible text stands in `{% trans %}` or `_()`; in Python a text that a page will show is marked by
`N_()` where it is written, and translated by the template that shows it. Console, commands and APIs speak English.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from kronborg.core.errors import Invalid

FOLDER = Path(__file__).parent.parent / "locale"
LANGUAGES = ("en", "da", "de")
"""The first is that of the code."""
NAMES = {"en": "English", "da": "Dansk", "de": "Deutsch"}

_current: ContextVar[str] = ContextVar("kronborg_language", default=LANGUAGES[0])


def N_(text: str) -> str:
    """Mark a text for translation; it is translated where it is shown."""
    return text


class Phrase(str):
    """A text with values in it, English as a string; templates show it by the filter `spoken`, in their language.

    `message` is marked by `N_()`. A value that is a phrase is translated too, any other stands as it is. What begins
    with `%(detail)s` begins with a capital nevertheless.
    """

    __slots__ = ("many", "message", "number", "values")

    message: str
    many: str
    number: int
    values: Mapping[str, object]

    def __new__(cls, message: str, **values: object) -> Phrase:
        """`message`, filled with values."""
        made = super().__new__(cls, _filled(message, values))
        made.message, made.many, made.number, made.values = message, "", 1, values
        return made


def _filled(message: str, values: Mapping[str, object]) -> str:
    if not values:
        return message
    filled = message % values
    return filled[:1].upper() + filled[1:] if message.startswith("%(detail)s") else filled


def many(one: str, several: str, number: int) -> Phrase:
    """A phrase that depends on a number, which stands in it as `%(num)s`."""
    made = Phrase(one if number == 1 else several, num=number)
    made.message, made.many, made.number = one, several, number
    return made


def sentence(detail: str, mend: str = "") -> Phrase:
    """What is wrong with an input and how to mend it, as one sentence for people."""
    if not mend:
        return Phrase("%(detail)s.", detail=_phrase(detail))
    return Phrase("%(detail)s: %(mend)s.", detail=_phrase(detail), mend=_phrase(mend))


def errors_of(refusal: Invalid) -> dict[str, str]:
    """A sentence for each field that is wrong."""
    return {problem.where: sentence(problem.detail, problem.mend) for problem in refusal.problems}


def _phrase(text: str) -> Phrase:
    return text if isinstance(text, Phrase) else Phrase(text)


def current_language() -> str:
    """The language of the page that is being rendered."""
    return _current.get()


def use_language(language: str) -> None:
    """Speak this language from here on in this task."""
    _current.set(language if language in LANGUAGES else LANGUAGES[0])


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak this language inside of the block."""
    before = _current.get()
    use_language(language)
    try:
        yield
    finally:
        _current.set(before)


def best_language(*wishes: str) -> str:
    """The first language there is among wishes, each like `da-DK de en` (OIDC Core §3.1.2.1 `ui_locales`)."""
    for wish in wishes:
        found = known_in(wish)
        if found is not None:
            return found
    return LANGUAGES[0]


def known_in(wish: str) -> str | None:
    """The first language there is in one wish."""
    for tag in wish[:200].replace("_", "-").split()[:10]:
        primary = tag.lower().partition("-")[0]
        if primary in LANGUAGES:
            return primary
    return None


def accepted(header: str) -> str:
    """The languages of an Accept-Language header (RFC 9110 §12.5.4), the preferred first, as a wish."""
    weighted = []
    for place, part in enumerate(header[:500].split(",")[:20]):
        tag, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            continue
        if quality > 0:
            weighted.append((-quality, place, tag.strip()))
    return " ".join(tag for _, _, tag in sorted(weighted))


def translate(text: str) -> str:
    """A text in the current language."""
    return spoken(text)


def spoken(text: str | None) -> str:
    """What Python wrote and a template shows, in the current language; what nobody marked stands as it is."""
    if not text:
        return ""
    words = words_of(_current.get())
    if not isinstance(text, Phrase):
        return words.gettext(text)
    found = words.ngettext(text.message, text.many, text.number) if text.many else words.gettext(text.message)
    values = {name: spoken(value) if isinstance(value, Phrase) else value for name, value in text.values.items()}
    return _filled(found, values)


def translate_many(one: str, many: str, number: int) -> str:
    """A text that depends on a number, in the current language."""
    return words_of(_current.get()).ngettext(one, many, number)


@cache
def words_of(language: str) -> NullTranslations:
    """The catalogue of a language; the words of the code for English."""
    path = FOLDER / f"{language}.po"
    if language == LANGUAGES[0] or not path.exists():
        return NullTranslations()
    from babel.messages.mofile import write_mo  # only installations that speak it pay for the reader
    from babel.messages.pofile import read_po
    from babel.support import Translations

    compiled = BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source))
    compiled.seek(0)
    return Translations(compiled)


def known(languages: Sequence[str]) -> tuple[str, ...]:
    """Those of `languages` that there are."""
    return tuple(one for one in languages if one in LANGUAGES)
