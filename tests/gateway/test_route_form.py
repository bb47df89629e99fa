"""Forms of routes and services: what is read from a form that nobody touched is what was there before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kronborg.core.csrf import MAX_FIELDS
from kronborg.core.errors import Invalid, Problem
from kronborg.gateway.access_model import AccessRule, Addresses, ClaimRule, StepUp
from kronborg.gateway.content_model import Content, JsonBounds, Sizes
from kronborg.gateway.documents_model import Published
from kronborg.gateway.form_fields import shown
from kronborg.gateway.form_groups import ROUTE_GROUPS, SERVICE_GROUPS
from kronborg.gateway.limits_model import Concurrency, Per, SpikeArrest
from kronborg.gateway.model import METHODS, Cors, Path, Route, Service
from kronborg.gateway.resilience_model import (
    Bounds,
    Breaker,
    Ejection,
    Fallback,
    HealthCheck,
    Registration,
    Replica,
    Retries,
)
from kronborg.gateway.route_form import errors_of, route_in, route_values, service_in, service_values
from kronborg.gateway.service_tls_model import ServiceTls
from kronborg.gateway.traffic_model import Canary, Condition, HeaderEdits, HeaderLine, Rewrite, Share, Sticky
from kronborg.limits.model import Quota, Unit, WindowKind

ROUTE = Route("orders", Path("prefix", "/orders"), "orders", audience="https://shop.example/orders")
SERVICE = Service("orders", ("http://127.0.0.1:9001",))

words = st.from_regex(r"[a-z][a-z0-9_.:/-]{0,12}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
"""Whatever may stand in a value: the form must not lose it, and need not be able to show it."""
spans = st.integers(1, 1 << 20).map(lambda n: timedelta(milliseconds=n))
counts, many = st.integers(0, 1 << 20), st.lists(words, max_size=3, unique=True).map(tuple)
claims = st.builds(ClaimRule, words, st.lists(texts, min_size=1, max_size=2).map(tuple))
step_ups = st.builds(StepUp, many, st.none() | spans)
rates = st.builds(
    SpikeArrest,
    st.integers(1, 999).map(lambda n: f"{n}ps"),
    burst=counts,
    per=st.sampled_from(get_args(Per)),
    identifier=texts,
    weight=counts,
    preset=st.sampled_from(["none", "apigee-runtime"]),
    effect=st.sampled_from(["enforce", "shadow"]),
)
quotas = st.builds(
    Quota,
    words,
    counts,
    unit=st.sampled_from(get_args(Unit)),
    window=st.sampled_from(get_args(WindowKind)),
    start=texts,
    mode=st.sampled_from(["leased", "counted"]),
)
rules = st.builds(
    AccessRule,
    st.lists(st.sampled_from(METHODS), max_size=2, unique=True).map(tuple),
    many,
    many,
    st.lists(claims, max_size=2).map(tuple),
    st.none() | step_ups,
)
contents = st.builds(
    Content, st.sampled_from(["off", "report", "enforce"]), st.builds(JsonBounds, counts, string=counts), many
)
routes = st.builds(
    replace,
    st.just(ROUTE),
    scopes=many.map(lambda found: tuple(sorted(found))),
    policies=st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), max_size=3).map(tuple),
    rules=st.lists(rules, max_size=7).map(tuple),
    step_up=st.none() | step_ups,
    addresses=st.none() | st.builds(Addresses, many, many),
    spike_arrest=st.none() | rates,
    rate_limit=st.none() | rates,
    quotas=st.lists(quotas, max_size=4).map(tuple),
    concurrency=st.none() | st.builds(Concurrency, counts),
    cors=st.none() | st.builds(Cors, many, many, many, st.booleans(), spans),
    sizes=st.none() | st.builds(Sizes, st.none() | counts, st.none() | counts),
    content=st.none() | contents,
    timeout=spans,
    idle=st.none() | spans,
    max_body=counts,
    cookies=st.booleans(),
    retry_keyed=st.booleans(),
    # What the form has no inputs for.
    headers=st.lists(st.builds(Condition, words, exact=texts), max_size=2).map(tuple),
    rewrite=st.none() | st.builds(Rewrite, prefix=words),
    request_headers=st.none() | st.builds(HeaderEdits, st.lists(st.builds(HeaderLine, words, texts)).map(tuple)),
    split=st.lists(st.builds(Share, words, counts), max_size=2).map(tuple),
    canary=st.lists(st.builds(Canary, words, words), max_size=2).map(tuple),
    sticky=st.none() | st.builds(Sticky),
    policy=st.none() | st.just('permit (principal, action, resource)\nwhen { context.path like "/a*" };\n'),
)
services = st.builds(
    replace,
    st.just(SERVICE),
    http2=st.booleans(),
    dns_refresh=spans,
    health_check=st.none()
    | st.builds(HealthCheck, path=texts, statuses=st.lists(counts, max_size=3).map(tuple), every=spans),
    ejection=st.none() | st.builds(Ejection, counts, spans),
    bounds=st.builds(Bounds, counts, counts),
    retries=st.none() | st.builds(Retries, counts, st.none() | spans, statuses=st.lists(counts).map(tuple)),
    breaker=st.none() | st.builds(Breaker, counts, st.none() | spans, counts, spans, counts, spans, counts),
    fallback=st.none() | st.builds(Fallback, st.none() | words, st.none() | counts, body=st.text(max_size=20)),
    openapi=st.none() | st.builds(Published, words, every=spans),
    tls=st.none() | st.builds(ServiceTls, texts, st.none() | words, verify_names=many),
)


@settings(max_examples=20, deadline=None)
@given(routes)
def test_a_route_that_goes_through_its_form_is_as_it_was(route: Route) -> None:
    assert route_in(sent(route_values(route))) == route


@settings(max_examples=20, deadline=None)
@given(services)
def test_a_service_that_goes_through_its_form_is_as_it_was(service: Service) -> None:
    # YAML has no way to write some control characters, so neither has a file.
    if service.fallback and not all(c.isprintable() or c in "\n\t" for c in service.fallback.body):
        return

    assert service_in(sent(service_values(service))) == service


@pytest.mark.parametrize(
    "service",
    [
        replace(SERVICE, urls=(), replicas=(Replica("http://10.0.0.7:8080", 3), Replica("http://10.0.0.8:8080"))),
        replace(SERVICE, urls=(), registration=Registration(("catalogue",), ("10.0.0.0/24",))),
    ],
)
def test_endpoints_of_every_kind_go_through_the_form(service: Service) -> None:
    assert service_in(sent(service_values(service))) == service


def test_what_a_form_can_say_stands_in_no_yaml() -> None:
    route = replace(
        ROUTE,
        spike_arrest=SpikeArrest("5ps", weight=2),
        quotas=(Quota("daily", 100, unit="day"), Quota("monthly", 1000)),
        rules=(AccessRule(("POST",), claims=(ClaimRule("/address/country", ("DK", "SE")),)),),
        websocket=True,
    )

    values = route_values(route)

    assert values["more"] == "websocket: true\n"
    assert values["rules.0.claims"] == "/address/country = DK, SE"
    assert (values["quotas.1.name"], values["quotas.1.unit"]) == ("monthly", "month")


def test_what_it_cannot_say_stands_there_and_is_not_lost() -> None:
    route = replace(ROUTE, rules=(AccessRule(claims=(ClaimRule("team", ("a, b",)),)),))

    values = route_values(route)

    assert "a, b" in values["more"]
    assert "rules.0" not in values
    assert route_in(values) == route


@pytest.mark.parametrize(
    ("values", "where", "said"),
    [
        ({"spike_arrest": "1"}, "spike_arrest.rate", "required"),
        ({"spike_arrest.rate": "5ps"}, "spike_arrest", "not ticked"),
        (
            {"spike_arrest": "1", "spike_arrest.rate": "5ps", "spike_arrest.burst": "many"},
            "spike_arrest.burst",
            "integ",
        ),
        ({"cors": "1", "cors.origins": "https://a.example", "cors.max_age": "soon"}, "cors.max_age", "a duration"),
        ({"quotas.1": "1", "quotas.1.name": "b"}, "quotas.1.count", "required"),
        ({"rules.2": "1", "rules.2.claims": "team"}, "rules.2.claims", "without ="),
        ({"sizes": "1", "sizes.target": "big"}, "sizes.target", "size"),
        ({"at": "/x", "kind": "nonsense", "idle": "x"}, "idle", "a duration"),
        ({"spike_arrest": "1", "spike_arrest.rate": "5ps", "more": "spike_arrest: {rate: 1ps}\n"}, "", "of its own"),
    ],
)
def test_what_is_wrong_is_told_at_its_input(values: dict[str, str], where: str, said: str) -> None:
    whole = {**route_values(ROUTE), **values}

    with pytest.raises(Invalid) as refused:
        route_in(whole)

    errors = errors_of(refused.value.problems, Route, "orders", whole)
    told = errors.get(where, "") if where else str(refused.value.problems)
    assert said in told.lower(), refused.value.problems


def test_what_publishing_finds_wrong_is_told_at_its_input_too() -> None:
    values = {"quotas.0.was": "1", "quotas.2": "1", "cors": "1"}
    problems = (
        Problem("routes.orders.quotas.0.start", "is not a moment", "write it so"),
        Problem("routes.orders.cors.origins", "is not an origin"),
        Problem("routes.orders", "names neither"),
        Problem("routes.orders.prefix", "is not a path"),
        Problem("routes.another.timeout", "is out of range"),
    )

    errors = errors_of(problems, Route, "orders", values)

    assert errors == {
        "quotas.2.start": "is not a moment: write it so",
        "cors.origins": "is not an origin",
        "access": "names neither",
        "at": "is not a path",
    }


def test_a_group_that_is_unticked_goes() -> None:
    values = route_values(replace(ROUTE, spike_arrest=SpikeArrest("5ps"), cors=Cors(("https://a.example",))))
    del values["spike_arrest"]

    route = route_in(values)

    assert (route.spike_arrest, route.cors) == (None, Cors(("https://a.example",)))


def test_rows_are_those_there_are_and_one_more() -> None:
    group = next(one for one in ROUTE_GROUPS if one.name == "quotas")
    values = route_values(replace(ROUTE, quotas=(Quota("a", 1), Quota("b", 2))))

    rows, none = shown(group, values, {}), shown(group, {}, {})

    assert [(row.name, row.on) for row in rows] == [("quotas.0", True), ("quotas.1", True), ("quotas.2", False)]
    assert [row.name for row in none] == ["quotas.0"]
    assert next(one for one in none[0].inputs if one.name == "quotas.0.unit").value == "month"


@pytest.mark.parametrize("groups", [ROUTE_GROUPS, SERVICE_GROUPS])
def test_each_input_says_what_it_means_and_a_whole_form_can_be_sent(groups: tuple[object, ...]) -> None:
    every = ROUTE_GROUPS if groups == ROUTE_GROUPS else SERVICE_GROUPS
    found = [one for group in every for row in shown(group, {}, {}) for one in row.inputs]

    assert all(one.hint for one in found), [one.name for one in found if not one.hint]
    assert all(one.options for one in found if one.kind == "choice")
    # Each row with its tick and the note that it was there, beside 26 other fields.
    assert 26 + sum(max(group.rows, 1) * (len(group.inputs) + 2) for group in every) < MAX_FIELDS


def sent(values: dict[str, str]) -> dict[str, str]:
    """As a browser sends them: lines end in CR LF, and of a text area the first line break is dropped."""
    return {
        name: value.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n") for name, value in values.items()
    }
