"""What goes over the wire to a directory: BER, filters and names, for every text that somebody may type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.federation.ber import NotBer, elements, integer, octets, sequence, size_of, whole_number
from kronborg.federation.ldap_filter import BadFilter, encoded, escape_dn, for_everybody, parse_filter, places_in

USUAL = parse_filter("(&(objectClass=person)(|(uid={login})(mail={login}))(!(sn=ab*c)))")


@given(st.integers(-(1 << 62), 1 << 62))
def test_numbers_come_back(value: int) -> None:
    ((tag, content),) = elements(integer(value))

    assert (tag, whole_number(content)) == (2, value)


@given(st.binary(max_size=300), st.binary(max_size=70_000))
def test_strings_come_back_whatever_their_length(small: bytes, large: bytes) -> None:
    ((_, content),) = elements(sequence((octets(small), octets(large))))

    assert [value for _, value in elements(content)] == [small, large]


@given(st.binary(max_size=60))
def test_any_bytes_are_an_element_or_refused(raw: bytes) -> None:
    try:
        found = list(elements(raw))
        assert size_of(raw) is None or len(found) > 0
    except NotBer:
        pass


@pytest.mark.spec("RFC 4511 §4.5.1.7")
@given(st.text(max_size=60))
def test_what_is_typed_stays_one_value_of_the_filter(login: str) -> None:
    ((tag, content),) = elements(encoded(USUAL, {"login": login}))
    first, either, negated = elements(content)
    typed = [list(elements(inner)) for _, inner in elements(either[1])]

    assert (tag, first[0], either[0], negated[0]) == (0xA0, 0xA3, 0xA1, 0xA2)
    assert [values[1][1] for values in typed] == [login.encode("utf-8", "replace")] * 2
    assert [values[0][1] for values in typed] == [b"uid", b"mail"]


@given(st.text(alphabet="(&|!)=*\\{login}uid:;, \x00", max_size=40))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        found = parse_filter(text)
    except BadFilter:
        return
    ((_, content),) = elements(encoded(found, {"login": "x"}))
    assert isinstance(content, bytes)


@pytest.mark.spec("RFC 4515 §4")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(cn=Babs Jensen)", b"\xa3\x11\x04\x02cn\x04\x0bBabs Jensen"),
        ("(o=univ*of*mich*)", b"\xa4\x16\x04\x01o0\x10\x80\x04univ\x81\x02of\x81\x04mich"),
        ("(seeAlso=)", b"\xa3\x0b\x04\x07seeAlso\x04\x00"),
        ("(cn:caseExactMatch:=Fred)", b"\xa9\x1a\x81\x0ecaseExactMatch\x82\x02cn\x83\x04Fred"),
        ("(o:dn:=Ace)", b"\xa9\x0b\x82\x01o\x83\x03Ace\x84\x01\xff"),
        ("(o=Parens R Us \\28for all\\29)", b"\xa3\x1e\x04\x01o\x04\x15Parens R Us (for all)"),
        ("(cn=*\\2A*)", b"\xa4\x09\x04\x02cn0\x03\x81\x01*"),
        ("(bin=\\00\\00\\00\\04)", b"\xa3\x0b\x04\x03bin\x04\x04\x00\x00\x00\x04"),
        ("(uid=*)", b"\x87\x03uid"),
        ("(age>=18)", b"\xa5\x09\x04\x03age\x04\x0218"),
    ],
)
def test_rfc4515_4__the_examples_of_the_specification(text: str, expected: bytes) -> None:
    found = encoded(parse_filter(text), {})

    ((tag, content),) = elements(found)
    assert (tag, content) == (expected[0], expected[2:])


@pytest.mark.parametrize(
    "text", ["", "uid=x", "(uid=x", "(&)", "(uid=x))", "(=x)", "(uid>=a*)", "(uid=\\zz)", "(!)", "(" * 30]
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        parse_filter(text)


def test_everybody_is_who_has_any_value_where_somebody_is_sought() -> None:
    found = for_everybody(USUAL)

    assert places_in(USUAL) == {"login"}
    assert places_in(found) == frozenset()
    assert b"\x87\x03uid" in encoded(found, {})


@pytest.mark.spec("RFC 4514 §2.4")
@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("a,b", "a\\,b"),
        ("#x", "\\#x"),
        (" x ", "\\ x\\ "),
        ('"+;<=>\\', '\\"\\+\\;\\<\\=\\>\\\\'),
        ("\0", "\\00"),
        (" ", "\\ "),
    ],
)
def test_rfc4514_2_4__a_value_of_a_name_is_escaped(value: str, escaped: str) -> None:
    assert escape_dn(value) == escaped
