"""Reading an authorization request: total, bounded, and never in doubt about what was said."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.oauth.authorize_request import MARK, PARAMETERS, collect, kept, parse
from kronborg.oauth.parameters import MAX_SENT, Unreadable

SINGLE = [name for name in PARAMETERS if name != "resource"]


@pytest.mark.spec("RFC 6749 §3.1")
@pytest.mark.parametrize("name", SINGLE)
def test_rfc6749_3_1__a_repeated_parameter_is_noted_and_not_used(name: str) -> None:
    request = parse(f"{name}=a&{name}=b")

    assert request.repeated == {name}
    assert getattr(request, name) is None


@pytest.mark.spec("RFC 8707 §2")
def test_rfc8707_2__resource_may_be_repeated() -> None:
    request = parse("resource=https://a.example&resource=https://b.example&resource=https://a.example")

    assert request.resources == ("https://a.example", "https://b.example")
    assert not request.repeated


@pytest.mark.spec("RFC 6749 §3.1")
def test_rfc6749_3_1__an_empty_value_is_no_value_and_the_unknown_is_ignored() -> None:
    request = parse("state=&scope=openid&unknown=1&unknown=2&nonce=&nonce=n")

    assert (request.state, request.scope, request.nonce) == (None, "openid", "n")
    assert not request.repeated | request.malformed


@pytest.mark.parametrize(
    "value", ["%00", "a%0d%0ab", "%ff", "%ed%a0%80", "%e2%80%ae", "%c2%85", pytest.param("x" * 9000, id="long")]
)
def test_what_is_not_sane_text_is_noted_and_not_used(value: str) -> None:
    query = f"client_id={value}&state=s"

    request = parse(query)

    assert request.malformed == {"client_id"}
    assert (request.client_id, request.state) == (None, "s")


@pytest.mark.spec("RFC 9396 §2")
@pytest.mark.parametrize("name", ["authorization_details", "claims"])
def test_json_may_be_written_on_several_lines_and_nothing_else_may(name: str) -> None:
    indented = '[\r\n\t{"type": "payment"}\n]'

    sent = parse(urlencode({name: indented, "state": "a\nb"}))
    pushed = collect([(name, indented), ("state", "a\nb")])

    assert getattr(sent, name) == getattr(pushed, name) == indented
    assert sent.malformed == pushed.malformed == {"state"}
    assert getattr(kept(pushed.query()), name) == indented


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("&".join(f"p{n}=1" for n in range(100)), id="many"),
        pytest.param("unknown=" + "x" * MAX_SENT, id="large"),
        pytest.param("&".join(f"resource=https://{n}.example/{'x' * 900}" for n in range(10)), id="large-when-written"),
    ],
)
def test_a_request_that_is_too_much_is_not_read(query: str) -> None:
    with pytest.raises(Unreadable):
        parse(query)


VISIBLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\ufffd")
TEXT = st.text(VISIBLE | st.just(" "), min_size=1, max_size=40)


@given(st.dictionaries(st.sampled_from(SINGLE), TEXT), st.lists(TEXT, max_size=3, unique=True))
def test_a_request_written_again_says_the_same(values: dict[str, str], resources: list[str]) -> None:
    request = parse(urlencode([*values.items(), *(("resource", r) for r in resources)], quote_via=quote))

    again = parse(request.query())

    assert again == request
    assert all(getattr(request, name) == value for name, value in values.items())


@given(st.dictionaries(st.sampled_from(SINGLE), TEXT, min_size=1), st.lists(TEXT, max_size=3, unique=True))
def test_a_request_that_is_kept_says_the_same(values: dict[str, str], resources: list[str]) -> None:
    request = collect([*values.items(), *(("resource", resource) for resource in resources)])

    assert kept(request.query()) == request
    assert not request.repeated | request.malformed


@given(st.lists(st.tuples(st.sampled_from([*PARAMETERS, "unknown", MARK]), st.text(max_size=20)), max_size=12))
def test_whatever_a_client_sends_is_sorted_out(pairs: list[tuple[str, str]]) -> None:
    request = collect(pairs)

    for name in SINGLE:
        given_values = [value for key, value in pairs if key == name and value]
        assert getattr(request, name) in (None, *given_values)
        assert (name in request.repeated) == (len(given_values) > 1)
    assert request.mark is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: quote(raw, safe="=&%")))
def test_anything_at_all_is_read_or_refused(query: str) -> None:
    try:
        request = parse(query)
    except Unreadable:
        return

    assert request.query().isascii()
