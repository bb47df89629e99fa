"""What-if: what passed a live gateway, against drafts; and against what is published, where nothing differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.live import API, OTHER_API, Live
from kronborg.gateway.access_model import AccessRule, Addresses, StepUp
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path, Route, Snapshot
from kronborg.gateway.traffic_model import Condition, Redirect
from kronborg.traffic.judge import WHYS, Judged, judge, read_side
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.trail import trail_of
from traffic.test_records import Records

ROUTES = (
    Route("open", Path("prefix", "/open"), "echo", public=True),
    Route("read", Path("prefix", "/things"), "echo", audience=API, scopes=("catalogue:read",), methods=("GET",)),
    Route("write", Path("prefix", "/things"), "echo", audience=API, scopes=("catalogue:write",), methods=("POST",)),
    Route("staff", Path("prefix", "/staff"), "echo", audience=API, roles=("staff", "boss")),
    Route("one", Path("template", "/orders/{id}"), "echo", audience=API, methods=("GET",)),
    Route("other", Path("exact", "/other"), "echo", audience=OTHER_API),
    Route("small", Path("exact", "/small"), "echo", public=True, max_body=5),
    Route("beta", Path("exact", "/v"), "echo", public=True, headers=(Condition("x-requested-with", exact="beta"),)),
    Route("plain", Path("exact", "/v"), "echo", audience=API),
    Route("rare", Path("exact", "/rare"), "echo", public=True, spike_arrest=SpikeArrest("1pm", per="route")),
    Route("far", Path("exact", "/far"), "echo", public=True, addresses=Addresses(deny=("127.0.0.0/8",))),
    Route("moved", Path("exact", "/moved"), "", public=True, redirect=Redirect(path="/open")),
    Route("strong", Path("exact", "/strong"), "echo", audience=API, step_up=StepUp(("phr",))),
)
PREFLIGHT = {"origin": "https://a.example", "access-control-request-method": "PUT"}
PATHS = ("/open", "/open/x", "/things/7", "/staff", "/orders/7", "/orders/7/8", "/other", "/small", "/v", "/far")
MORE = ("/moved", "/strong", "/nowhere", "/opener", "/open/a;b", "/healthz", "/rare", "/rare", "/%zz", "//open")


def send(gateway: Live) -> None:
    """Requests of every kind, with every kind of token."""
    tokens = (
        None,
        "nonsense",
        gateway.token(),
        gateway.token(scope="catalogue:write", roles=["boss"]),
        gateway.token(aud=OTHER_API),
        gateway.token(acr="phr"),
    )
    for path in (*PATHS, *MORE):
        for token in tokens:
            gateway.get(path, token=token)
        gateway.request("POST", path, token=tokens[3], body=b"0123456789")
        gateway.request("DELETE", path, token=tokens[2])
        gateway.request(
            "OPTIONS", path, headers={"origin": "https://a.example", "access-control-request-method": "PUT"}
        )
    gateway.request("POST", "/things/7", token=tokens[2])
    gateway.get("/v", headers={"x-requested-with": "beta"})
    gateway.get("/open", host="elsewhere.example")
    gateway.request("TRACE", "/open")


@pytest.fixture(scope="module")
def passed(gateway: Live, tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, list[AccessRecord]]:
    """What the real log recorded of the requests."""
    snapshot = gateway.snapshot(*ROUTES)
    records = Records(gateway, tmp_path_factory.mktemp("what-if") / "traffic")
    records.read()
    seen = {one.id for one in records.of()}
    gateway.deliver(snapshot)
    send(gateway)
    last = gateway.get("/open/last").headers["x-request-id"]
    records.one(id=last)
    return snapshot, [one for one in records.of() if one.id not in seen and one.path != "/healthz"]


def judged(passed: tuple[Snapshot, list[AccessRecord]], *routes: Route) -> list[tuple[AccessRecord, Judged]]:
    snapshot, records = passed
    old, new = read_side(snapshot), read_side(replace(snapshot, routes=routes))
    return [(record, judge(record, old, new)) for record in records]


def changed(name: str, **fields: object) -> tuple[Route, ...]:
    """All routes, one of them otherwise."""
    return tuple(replace(one, **fields) if one.name == name else one for one in ROUTES)  # type: ignore[arg-type]


def fates(found: Iterable[tuple[AccessRecord, Judged]], verdict: str) -> Counter[tuple[str, str]]:
    return Counter((one.was or record.route, one.why or one.reason) for record, one in found if one.verdict == verdict)


def test_replayed_against_itself_nothing_differs(passed: tuple[Snapshot, list[AccessRecord]]) -> None:
    found = judged(passed, *ROUTES)

    odd = [(record.method, record.path, record.reason, record.status, one) for record, one in found]
    assert not [one for one in odd if one[-1].verdict not in ("same", "unjudged")]
    unjudged = [one for one in odd if one[-1].verdict == "unjudged"]
    assert len(unjudged) < len(odd) / 20, unjudged
    assert len(found) > 150


def test_a_draft_that_asks_for_another_scope(passed: tuple[Snapshot, list[AccessRecord]]) -> None:
    found = judged(passed, *changed("read", scopes=("catalogue:write",)))

    assert set(fates(found, "refused")) == {("read", "missing_scope")}
    assert set(fates(found, "allowed")) == {("read", "missing_scope")}
    assert all(record.scopes == "catalogue:write" for record, one in found if one.verdict == "allowed")


def test_a_draft_that_opens_a_route(passed: tuple[Snapshot, list[AccessRecord]]) -> None:
    found = judged(passed, *changed("staff", public=True, audience=None, roles=()))

    assert not fates(found, "refused")
    assert set(fates(found, "allowed")) >= {("staff", "missing_token"), ("staff", "missing_role")}


def test_a_draft_that_removes_a_route(passed: tuple[Snapshot, list[AccessRecord]]) -> None:
    found = judged(passed, *(one for one in ROUTES if one.name != "one"))

    assert set(fates(found, "refused")) == {("one", "no_route")}
    assert not fates(found, "allowed")


def test_a_draft_that_changes_the_kind_of_a_path(passed: tuple[Snapshot, list[AccessRecord]]) -> None:
    exact = judged(passed, *changed("open", path=Path("exact", "/open")))
    wider = judged(passed, *changed("one", path=Path("prefix", "/orders")))

    assert {record.path for record, one in exact if one.verdict == "refused"} == {"/open/x", "/open/last"}
    assert set(fates(wider, "allowed")) == {("", "no_route")} or not fates(wider, "allowed")
    assert set(fates(wider, "unjudged")) >= {("", "token")}


@pytest.mark.parametrize(
    ("name", "fields", "refused", "allowed", "unjudged"),
    [
        ("open", {"public": False, "audience": API}, set(), set(), {"token"}),
        ("open", {"methods": ("GET",)}, {"method_not_allowed"}, set(), set()),
        ("staff", {"roles": ("staff", "boss", "clerk")}, set(), set(), {"roles"}),
        ("staff", {"roles": ("boss",)}, set(), set(), {"roles"}),
        ("one", {"policy": "permit (principal, action, resource);"}, set(), set(), {"policy"}),
        ("one", {"step_up": StepUp(("phr",))}, set(), set(), {"step_up"}),
        ("one", {"spike_arrest": SpikeArrest("1ps")}, set(), set(), {"limits"}),
        ("one", {"rules": (AccessRule(("GET",), scopes=("catalogue:write",)),)}, {"missing_scope"}, set(), set()),
        ("one", {"audience": OTHER_API}, {"invalid_token"}, set(), {"token"}),
        ("one", {"timeout": timedelta(seconds=1), "compress": True}, set(), set(), set()),
        ("small", {"max_body": 100}, set(), set(), {"body"}),
        ("rare", {"spike_arrest": None}, set(), {"spike_arrest"}, set()),
        ("far", {"addresses": None}, set(), {"address_refused"}, set()),
        ("strong", {"step_up": None}, set(), {"step_up_required"}, set()),
        ("beta", {"headers": (Condition("x-requested-with", exact="gamma"),)}, set(), set(), {"conditions"}),
        ("plain", {"host": "localhost"}, set(), set(), set()),
    ],
)
def test_what_a_draft_would_do_and_what_no_record_tells(
    passed: tuple[Snapshot, list[AccessRecord]],
    name: str,
    fields: dict[str, object],
    refused: set[str],
    allowed: set[str],
    unjudged: set[str],
) -> None:
    found = judged(passed, *changed(name, **fields))

    def reasons(verdict: str) -> set[str]:
        return {why for _, why in fates(found, verdict)} - {"record"}

    assert (reasons("refused"), reasons("allowed"), reasons("unjudged")) == (refused, allowed, unjudged)
    assert unjudged <= set(WHYS)


def test_the_trail_of_a_request_says_at_each_stage_what_was_asked_and_there(
    passed: tuple[Snapshot, list[AccessRecord]],
) -> None:
    snapshot, records = passed
    served = read_side(snapshot)

    def told(reason: str, route: str) -> dict[str, tuple[str, str, str]]:
        record = next(one for one in records if (one.reason, one.route) == (reason, route))
        return {step.title: (step.standing, step.asked, step.there) for step in trail_of(record, served)}

    scope, strong, rate, fine = (
        told("missing_scope", "write"),
        told("step_up_required", "strong"),
        told("spike_arrest", "rare"),
        told("", "staff"),
    )

    assert scope["Token"][:2] == ("passed", f"An access token for {API}.")
    assert scope["Scopes and roles"] == ("refused", "The scope catalogue:write.", "scopes catalogue:read")
    assert scope["Service"] == ("not reached", "", "")
    assert strong["Step-up"][:2] == ("refused", "A sign-in of the kind phr.")
    assert strong["Revocation"][0] == "passed"
    assert rate["Spike arrest"][:2] == ("refused", "At most 1 a minute per route.")
    assert rate["Token"][0] == "not asked"
    assert fine["Scopes and roles"][:2] == ("passed", "One of the roles boss, staff.")
    assert fine["Service"][0] == "passed"
    assert trail_of(records[0], None)[-1].title == "Service"
