"""Filters that administrators write: which are filters, what they ask for, and what a sync makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.federation.ldap_filter import BadFilter, check_filter, for_everybody, places_in

USUAL = "(&(objectClass=person)(|(uid={login})(mail={login}))(!(sn=ab*c)))"


@pytest.mark.spec("RFC 4515 §4")
@pytest.mark.parametrize(
    "text",
    [
        "(cn=Babs Jensen)",
        "(!(cn=Tim Howes))",
        "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
        "(o=univ*of*mich*)",
        "(seeAlso=)",
        "(cn:caseExactMatch:=Fred Flintstone)",
        "(cn:=Betty Rubble)",
        "(sn:dn:2.4.6.8.10:=Barney Rubble)",
        "(o:dn:=Ace Industry)",
        "(:1.2.3:=Wilma Flintstone)",
        "(:DN:2.4.6.8.10:=Dino)",
        "(o=Parens R Us \\28for all those parenthetical thoughts\\29)",
        "(cn=*\\2A*)",
        "(filename=C:\\5cMyFile)",
        "(bin=\\00\\00\\00\\04)",
        "(sn=Lu\\c4\\8di\\c4\\87)",
        "(1.3.6.1.4.1.1466.0=\\04\\02\\48\\69)",
        "(uid=*)",
        "(age>=18)",
        "(cn~=babs)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=staff,dc=corp,dc=example)",
        USUAL,
    ],
)
def test_rfc4515_4__the_examples_of_the_specification_are_filters(text: str) -> None:
    check_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "uid=x", "(uid=x", "(&)", "(|)", "(!)", "(uid=x))", "(uid=x)(mail=x)", "(=x)", "(uid>=a*)", "(u d=x)"),
        *("(uid=\\zz)", "(uid=\\)", "(uid=a(b)", "(!(uid=x)(uid=y))", "(:=x)", "(uid:dn)", "(uid=\0)", "(&(uid=x)"),
        *("(" * 30, "(!" * 12 + "(uid=x)" + ")" * 12, f"(uid={'x' * 2000})"),
    ],
)
def test_what_is_no_filter_or_too_large_is_refused(text: str) -> None:
    with pytest.raises(BadFilter):
        check_filter(text)


@given(st.text(alphabet="(&|!)=*\\{login}uid:;,2a \x00", max_size=60))
def test_any_text_is_a_filter_or_refused_and_a_filter_is_balanced(text: str) -> None:
    try:
        check_filter(text)
    except BadFilter:
        return

    assert text.count("(") == text.count(")") > 0
    check_filter(for_everybody(text))


def test_everybody_is_who_has_any_value_where_somebody_is_sought() -> None:
    found = for_everybody(USUAL)
    by_rule = for_everybody("(&(uid:caseExactMatch:={login})(cn>={login}))")

    assert places_in(USUAL) == {"login"}
    assert found == "(&(objectClass=person)(|(uid=*)(mail=*))(!(sn=ab*c)))"
    assert by_rule == "(&(uid=*)(cn=*))"
