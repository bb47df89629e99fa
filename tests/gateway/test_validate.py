"""Every reason why routes cannot be published is told, at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.clients.settings import ApiSettings
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Audience, Cors, Path, Route, Service, Snapshot
from kronborg.gateway.publish import is_readable
from kronborg.gateway.validate import path_is_valid, problems_of

API = "https://shop.example/catalogue"
GOOD = Snapshot(
    issuer="http://localhost:8081",
    services=(Service("catalogue", ("http://127.0.0.1:8091",)), Service("far", ("https://far.example",))),
    routes=(
        Route("read", Path("prefix", "/catalogue"), "catalogue", audience=API, scopes=("catalogue:read",)),
        Route("shop", Path("prefix", "/shop/"), "catalogue", public=True),
    ),
    audiences=(Audience(API, ("catalogue:read", "catalogue:write")),),
)
READ = GOOD.routes[0]


def told(**changed: object) -> list[tuple[str, str]]:
    """What is said about the good snapshot with its first route changed."""
    snapshot = replace(GOOD, routes=(replace(READ, **changed), GOOD.routes[1]))  # type: ignore[arg-type]
    return [(problem.where, problem.detail) for problem in problems_of(snapshot)]


def test_a_good_snapshot_has_no_problems() -> None:
    assert problems_of(GOOD) == ()


def test_a_route_that_names_neither_public_nor_an_audience_is_refused() -> None:
    problems = told(audience=None, scopes=())

    assert problems == [("routes.read", "names neither `public: true` nor an audience")]


def test_every_problem_is_told_with_a_way_to_mend_it() -> None:
    bad = Route("No Name", Path("exact", "a"), "catalog", methods=("FETCH",), timeout=timedelta(0), max_body=0)
    snapshot = replace(GOOD, issuer="localhost", routes=(bad,), services=(Service("catalogue", ("x",)),))

    problems = problems_of(snapshot)

    assert {problem.where for problem in problems} == {
        "issuer",
        "services.catalogue.urls",
        "routes.No Name",
        "routes.No Name.path",
        "routes.No Name.methods",
        "routes.No Name.service",
        "routes.No Name.timeout",
        "routes.No Name.max_body",
    }
    assert all(problem.detail and problem.mend for problem in problems)
    assert "did you mean catalogue?" in {problem.mend for problem in problems}


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"public": True}, "routes.read"),
        ({"audience": "https://shop.example/catalog"}, "routes.read.audience"),
        ({"scopes": ("catalogue:delete",)}, "routes.read.scopes"),
        ({"scopes": ('a"b',)}, "routes.read.scopes"),
        ({"roles": ("two words",)}, "routes.read.roles"),
        ({"host": "Api.Example"}, "routes.read.host"),
        ({"host": "api.example:80"}, "routes.read.host"),
        ({"host": "*.example"}, "routes.read.host"),
        ({"methods": ("TRACE",)}, "routes.read.methods"),
        ({"methods": ("GET", "GET")}, "routes.read.methods"),
        ({"spike_arrest": SpikeArrest("fast")}, "routes.read.spike_arrest.rate"),
        ({"spike_arrest": SpikeArrest("5ps", burst=0)}, "routes.read.spike_arrest.burst"),
        ({"path": Path("exact", "/healthz")}, "routes.read.path"),
        ({"path": Path("prefix", "/shop")}, "routes.shop"),
        ({"cors": Cors(("https://a.example/",))}, "routes.read.cors.origins"),
        ({"cors": Cors(("*",))}, "routes.read.cors.origins"),
        ({"timeout": timedelta(hours=1)}, "routes.read.timeout"),
        ({"max_body": 1 << 30}, "routes.read.max_body"),
        ({"name": "shop"}, "routes.shop"),
    ],
)
def test_a_mistake_is_found_where_it_is(changed: dict[str, object], where: str) -> None:
    assert where in {place for place, _ in told(**changed)}


def test_a_public_route_has_no_client_to_limit() -> None:
    arrest = SpikeArrest("5ps", per="client")

    problems = told(public=True, audience=None, scopes=(), spike_arrest=arrest)

    assert [where for where, _ in problems] == ["routes.read.spike_arrest.per"]


def test_an_api_whose_tokens_the_gateway_cannot_check_has_no_route() -> None:
    [problem] = problems_of(replace(GOOD, audiences=tuple(replace(one, readable=False) for one in GOOD.audiences)))

    assert problem.where == "routes.read.audience"
    assert "EdDSA" in problem.mend


@pytest.mark.spec("RFC 8705 §3")
def test_rfc8705_3__an_api_of_bound_tokens_only_may_have_a_route_because_it_asks_for_the_binding() -> None:
    bound = replace(GOOD, audiences=tuple(replace(one, bound=True) for one in GOOD.audiences))

    assert problems_of(bound) == ()


@pytest.mark.parametrize("changed", [{"bound": "required"}, {"when_stale": "refuse"}])
def test_a_public_route_knows_no_token_that_could_be_bound_or_revoked(changed: dict[str, str]) -> None:
    public = Route("open", Path("prefix", "/open"), "catalogue", public=True, **changed)  # type: ignore[arg-type]

    assert [one.where for one in problems_of(replace(GOOD, routes=(public,)))] == ["routes.open"]


@pytest.mark.parametrize(
    ("settings", "readable"),
    [
        (ApiSettings(), True),
        (ApiSettings(signing_alg="PS256"), True),
        (ApiSettings(signing_alg="EdDSA"), True),
        (ApiSettings(signing_alg="Ed25519"), False),
        (ApiSettings(encryption_jwks={"keys": []}), False),
    ],
)
def test_envoy_checks_what_it_knows(settings: ApiSettings, readable: bool) -> None:
    assert is_readable(settings) is readable


def test_routes_clash_by_host_path_and_method_only() -> None:
    def clashes(**changed: object) -> bool:
        second = replace(READ, **({"name": "second"} | changed))  # type: ignore[arg-type]
        return bool(problems_of(replace(GOOD, routes=(replace(READ, methods=("GET", "PUT")), second))))

    assert clashes(methods=("PUT",))
    assert clashes(methods=())
    assert clashes(path=Path("prefix", "/catalogue/"))
    assert clashes(host="localhost")
    assert not clashes(methods=("POST",))
    assert not clashes(path=Path("exact", "/catalogue"))
    assert not clashes(host="api.example")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "catalogue",
        "127.0.0.1:80",
        "ftp://a",
        "http://",
        "http://a:b",
        "http://u@a",
        "http://a/x",
        "http://a?",
        "//a",
    ],
)
def test_services_are_absolute_urls_without_a_path(url: str) -> None:
    problems = problems_of(replace(GOOD, services=(Service("catalogue", (url,)), GOOD.services[1])))

    assert [problem.where for problem in problems] == ["services.catalogue.urls"]


@given(st.text(max_size=40))
def test_a_path_that_is_taken_is_in_normal_form(text: str) -> None:
    if path_is_valid(Path("prefix", text)):
        assert text.startswith("/")
        assert text.isascii()
        assert not set(text) & set(';\\%?# "<>')
        assert "//" not in text
        assert not {".", ".."} & set(text.split("/"))


@pytest.mark.parametrize(
    "path",
    ["", "a", "//", "/a//b", "/a/../b", "/.", "/a%2fb", "/a;b", "/a?b", "/a#b", "/a b", "/é", "/a\n", "/" + "a" * 600],
)
def test_odd_paths_are_not_taken(path: str) -> None:
    assert not path_is_valid(Path("prefix", path))


@pytest.mark.parametrize("twin", [API + "/", API.replace("https", "http")])
def test_audiences_that_the_proxy_cannot_tell_apart_are_refused(twin: str) -> None:
    problems = problems_of(replace(GOOD, audiences=(*GOOD.audiences, Audience(twin))))

    assert [problem.detail.split(" only ")[1] for problem in problems] == ["by the scheme or a last slash"]
