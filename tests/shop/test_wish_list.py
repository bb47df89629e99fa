"""The third-party wish list over HTTP: consent given, refused and withdrawn; its session and its forms."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shop.stage import Stage, stage


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as running:
        yield running


@pytest.fixture
def http(scene: Stage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=scene.wish_list, follow_redirects=True) as client:
        yield client


def press(http: httpx.Client, path: str, product: str = "") -> httpx.Response:
    """Press a button of the page, with the page's own CSRF token."""
    token = re.search(r'name="csrf" value="([^"]+)"', http.get("/").text)
    assert token is not None
    return http.post(path, data={"csrf": token[1], "product_id": product})


def test_somebody_connects_wishes_and_fills_the_cart(scene: Stage, http: httpx.Client) -> None:
    page = press(http, "/connect")
    assert "Connected as <strong>Astrid Holm</strong>" in page.text
    assert page.url == f"{scene.wish_list}/"

    page = press(http, "/wishes", "klit-vase")
    assert "Put into cart: Klit vase" in page.text
    page = press(http, "/wishes/cart", "klit-vase")
    assert "It is in your cart" in page.text

    page = press(http, "/wishes/remove", "klit-vase")
    assert "Wish for it: Klit vase" in page.text


@pytest.mark.spec("RFC 6749 §4.1.2.1")
def test_saying_no_is_fine(scene: Stage, http: httpx.Client) -> None:
    scene.identity.deny = True

    page = press(http, "/connect")

    assert page.status_code == 200
    assert "You said no, and that is fine" in page.text
    assert "Connect to Sundet" in page.text


def test_a_withdrawn_consent_asks_to_connect_again_and_keeps_the_wishes(scene: Stage, http: httpx.Client) -> None:
    press(http, "/connect")
    press(http, "/wishes", "klit-vase")
    scene.identity.refresh.clear()

    page = http.get("/")

    assert "this connection has ended" in page.text
    assert "Connect to Sundet" in page.text
    assert "Put into cart: Klit vase" in press(http, "/connect").text


def test_what_is_not_allowed_or_away_is_said(scene: Stage, http: httpx.Client) -> None:
    press(http, "/connect")
    for status, text in ((403, "did not allow"), (429, "a little fast"), (503, "does not answer")):
        scene.door.closed["cart"] = (status, {})
        assert text in press(http, "/wishes/cart", "klit-vase").text


def test_disconnecting_gives_the_tokens_back(scene: Stage, http: httpx.Client) -> None:
    press(http, "/connect")
    assert len(scene.identity.refresh) == 1

    page = press(http, "/disconnect")

    assert "Disconnected" in page.text
    assert scene.identity.refresh == {}


@pytest.mark.spec("RFC 6749 §10.12")
@pytest.mark.spec("RFC 9207 §2.4")
@pytest.mark.parametrize("change", ["state", "iss", "replayed"])
def test_answers_that_do_not_belong_are_refused(scene: Stage, http: httpx.Client, change: str) -> None:
    page = http.get("/")
    token = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert token is not None
    asked = http.post("/connect", data={"csrf": token[1]}, follow_redirects=False)
    answer = httpx.get(asked.headers["location"]).headers["location"]
    if change == "replayed":
        assert "Connected as" in http.get(answer).text
        assert "not started here" in http.get(answer).text
        return

    changed = re.sub(rf"{change}=[^&]+", f"{change}=https%3A%2F%2Fevil.example", answer)

    page = http.get(changed)
    assert "Please start again" in page.text
    assert "Connected as" not in page.text


@pytest.mark.parametrize("path", ["/connect", "/wishes", "/wishes/remove", "/wishes/cart", "/disconnect"])
@pytest.mark.parametrize("csrf", [None, "", "guessed"])
def test_forms_of_other_sites_do_nothing(scene: Stage, http: httpx.Client, path: str, csrf: str | None) -> None:
    press(http, "/connect")
    asked = len(scene.identity.asked)

    page = http.post(path, data={} if csrf is None else {"csrf": csrf})

    assert "That form was too old" in page.text
    assert "Connected as" in page.text
    assert len(scene.identity.asked) == asked


def test_the_session_is_renewed_and_its_cookie_is_out_of_reach(scene: Stage, http: httpx.Client) -> None:
    first = http.get("/")
    before = http.cookies["wish-list"]

    press(http, "/connect")

    assert http.cookies["wish-list"] != before
    assert "HttpOnly; Path=/; SameSite=lax" in first.headers["set-cookie"]
    assert "script" not in first.headers["content-security-policy"]
    assert http.get("/healthz").text == "ok"
