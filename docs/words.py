"""The catalogues of other languages, brought up to date with the texts of the code: `make words`.

New texts are added empty, texts that are gone are dropped, and nothing is guessed. No dates and no line numbers stand
in a catalogue, so that a change shows what it changed. `tests/pages/test_catalogues.py` fails until every text is
translated.
"""

from __future__ import annotations

from io import BytesIO
from os import PathLike
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "kronborg"
FOLDER = SOURCE / "locale"
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None, "many": (1, 2)}
TITLES = {"da": "Danish", "de": "German"}


def extracted() -> Catalog:
    """Every text that the code and the templates mark."""
    with (ROOT / "babel.cfg").open(encoding="utf-8") as source:
        methods, options = parse_mapping_cfg(source)  # type: ignore[no-untyped-call]  # not annotated there
    found = Catalog()
    texts = extract_from_dir(ROOT, methods, options, keywords=KEYWORDS, directory_filter=_is_ours)
    for _path, _line, message, _comments, context in texts:
        found.add(message, context=context)
    return found


def _is_ours(folder: str | PathLike[str]) -> bool:
    return Path(folder).is_relative_to(SOURCE) or SOURCE.is_relative_to(folder)


def catalogue(language: str) -> Catalog:
    """What a language has."""
    with (FOLDER / f"{language}.po").open("rb") as source:
        return read_po(source, locale=language)


def updated(language: str) -> bytes:
    """The catalogue of a language with exactly the texts there are."""
    old, fresh = catalogue(language), extracted()
    kept = Catalog(locale=language)
    for message in fresh:
        if message.id:
            known = old.get(message.id)
            kept.add(
                message.id, known.string if known is not None and known.id == message.id else "", flags=message.flags
            )
    out = BytesIO()
    write_po(out, kept, width=120, omit_header=True, sort_output=True, no_location=True)
    header = (
        f'# Kronborg in {TITLES[language]}.\nmsgid ""\nmsgstr ""\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Language: {language}\\n"\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
    )
    return header.encode() + out.getvalue()


def main() -> None:
    """Write the catalogues."""
    for language in TITLES:
        (FOLDER / f"{language}.po").write_bytes(updated(language))


if __name__ == "__main__":
    main()
