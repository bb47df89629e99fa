"""A browser without pictures: follows redirects and submits the forms of our pages over plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    """A form as found in a page: where it goes, and what it would send."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), values.get("method", "get").lower()))
        elif self.forms and tag == "input" and values.get("name") and values.get("type") not in ("submit", "checkbox"):
            self.forms[-1].fields[values["name"]] = values.get("value", "")
        elif self.forms and (tag == "button" or values.get("type") == "submit") and values.get("name"):
            self.forms[-1].buttons.append((values["name"], values.get("value", "")))


def forms_of(page: httpx.Response) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms


class Browser:
    """Follows redirects as long as they stay with the issuer; a redirect that leaves it is the result."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.http = httpx.Client(follow_redirects=False, timeout=20, trust_env=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, url: str) -> httpx.Response:
        """The page at `url`, or the redirect that leaves the issuer."""
        return self._follow(self.http.get(url))

    def submit(
        self, page: httpx.Response, form: Form, values: Mapping[str, str], *, button: tuple[str, str] | None = None
    ) -> httpx.Response:
        """Send `form` of `page` with `values` filled in."""
        body = {**form.fields, **values, **dict([button] if button else [])}
        target = urljoin(str(page.url), form.action or str(page.url))
        headers = {"origin": self.issuer, "sec-fetch-site": "same-origin"}
        return self._follow(self.http.post(target, data=body, headers=headers))

    def sign_in(self, url: str, username: str, password: str) -> httpx.Response:
        """Open `url`, sign in on the page it leads to, and follow on."""
        page = self.get(url)
        [form] = [form for form in forms_of(page) if "password" in form.fields]
        return self.submit(page, form, {"username": username, "password": password})

    def decide(self, page: httpx.Response, value: str) -> httpx.Response:
        """Press the button with that value on a consent page."""
        for form in forms_of(page):
            for button in form.buttons:
                if button[1] == value:
                    return self.submit(page, form, {}, button=button)
        raise AssertionError(f"no button {value!r} on {page.url}: {page.text[:2000]}")

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(10):
            if not answer.is_redirect:
                return answer
            target = urljoin(str(answer.url), answer.headers["location"])
            if not target.startswith(self.issuer + "/"):
                return answer
            answer = self.http.get(target)
        raise AssertionError("redirected in circles")
