"""Letters: each is a template `letters/<name>.txt` in the slice that sends it, in the language of its reader.

A template has four blocks of plain words: `subject`, `body`, `action` (what the button says) and `after`. Text and HTML
are both made of them. Links are made from the issuer, never from the address a browser asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from kronborg.core import languages
from kronborg.core.agents import device
from kronborg.core.brand import Brand
from kronborg.core.crypto import Vault
from kronborg.core.db import Session
from kronborg.core.log import get_logger
from kronborg.core.mail import Letter, post
from kronborg.core.mail_store import count_letter

if TYPE_CHECKING:
    from jinja2 import Environment

log = get_logger("kronborg.letters")

_SLICES = Path(__file__).parent.parent
WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bound:
    """At most `most` letters of one `kind` to one address within an hour, so that no inbox is flooded through us."""

    kind: str
    most: int


ASKED = Bound("asked", 5)
"""What anybody can ask for by typing an address. Apart from notices: who floods one does not suppress the other."""
NOTICE = Bound("notice", 30)
"""What happened to an account."""
INVITED = Bound("invited", 5)
"""What administrators ask for."""


@dataclass(frozen=True, slots=True)
class LetterPage:
    """What `letters/letter.html` shows."""

    language: str
    brand: str
    colour: str
    title: str
    body: tuple[str, ...]
    action: str
    link: str
    after: tuple[str, ...]


class Letters:
    """The letters of one installation; made by the composition root."""

    def __init__(self, vault: Vault, issuer: str, brand: Brand | None = None) -> None:
        self.vault, self.issuer, self.brand = vault, issuer, brand or Brand()

    def url(self, path: str, **query: str) -> str:
        """An address of a page of ours."""
        return f"{self.issuer}{path}" + (f"?{urlencode(query)}" if query else "")

    async def post(
        self,
        session: Session,
        name: str,
        *,
        to: str,
        language: str,
        bound: Bound,
        now: datetime,
        link: str = "",
        values: Mapping[str, object] | None = None,
    ) -> bool:
        """Let the letter `name` be sent after this transaction; False when the address has had enough of them."""
        key = self.vault.digest(f"{bound.kind}\n{to.strip().casefold()}", context="core.letters")
        if await count_letter(session, key, since=now - WITHIN, now=now) > bound.most:
            log.info("letter_withheld", kind=bound.kind, letter=name)
            return False
        await post(session, self.vault, self.compose(name, to=to, language=language, link=link, values=values), now=now)
        return True

    def compose(
        self, name: str, *, to: str, language: str, link: str = "", values: Mapping[str, object] | None = None
    ) -> Letter:
        """The letter in the first language there is among the wishes in `language`."""
        before = languages.current_language()
        languages.use_language(languages.best_language(language))
        try:
            words = self._words(name, {**(values or {}), "brand": self.brand.name})
            page = LetterPage(
                languages.current_language(),
                self.brand.name,
                self.brand.colour or "#1c6b5a",
                " ".join(words["subject"].split()),
                _paragraphs(words["body"]),
                " ".join(words["action"].split()) if link else "",
                link,
                _paragraphs(words["after"]),
            )
            html = self._environment.get_template("letters/letter.html").render(page=page)
            text = self._environment.get_template("letters/letter.txt").render(page=page)
        finally:
            languages.use_language(before)
        return Letter(to, page.title, text, html)

    def _words(self, name: str, values: Mapping[str, object]) -> dict[str, str]:
        template = self._environment.get_template(f"letters/{name}.txt")
        context = template.new_context(dict(values))
        blocks = template.blocks
        return {
            block: "".join(blocks[block](context)) if block in blocks else ""
            for block in ("subject", "body", "action", "after")
        }

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, select_autoescape

        environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in sorted(_SLICES.glob("*/templates"))]),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.filters["spoken"] = languages.spoken
        environment.filters["device"] = device
        environment.install_gettext_callables(  # type: ignore[attr-defined]  # by the extension
            languages.translate, languages.translate_many, newstyle=True
        )
        return environment


def _paragraphs(text: str) -> tuple[str, ...]:
    """Paragraphs are parted by an empty line; inside of one, line breaks mean nothing."""
    parts = (" ".join(part.split()) for part in text.replace("\r", "").split("\n\n"))
    return tuple(part for part in parts if part)
