"""What cannot be published of matching, changes, streams and shares, and where the reason is told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.gateway.envoy.route_tree import Block, buckets
from kronborg.gateway.model import Cors, Path, Route, Service, Snapshot
from kronborg.gateway.pattern_model import read_regex, read_template
from kronborg.gateway.traffic_model import (
    Canary,
    Condition,
    HeaderEdits,
    HeaderLine,
    Mirror,
    Redirect,
    Rewrite,
    Share,
    Sticky,
)
from kronborg.gateway.traffic_problems import is_re2
from kronborg.gateway.validate import problems_of

BASE = Route("one", Path("prefix", "/one"), "here", public=True)
SERVICES = (Service("here", ("http://127.0.0.1:1",)), Service("there", ("http://127.0.0.1:2",)))


def told(*routes: Route) -> list[str]:
    return [problem.where for problem in problems_of(Snapshot("http://localhost:8081", SERVICES, routes))]


def line(name: str, value: str = "x") -> HeaderEdits:
    return HeaderEdits(set=(HeaderLine(name, value),))


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"path": Path("template", "/orders")}, "path"),
        ({"path": Path("template", "/orders/{id}x")}, "path"),
        ({"path": Path("template", "/{a=**}/b")}, "path"),
        ({"path": Path("template", "/{a}/{a}")}, "path"),
        ({"path": Path("template", "/../{a}")}, "path"),
        ({"path": Path("template", "/a//{b}")}, "path"),
        ({"path": Path("template", "/a%2f/{b}")}, "path"),
        ({"path": Path("regex", "/a.*")}, "path"),
        ({"path": Path("regex", "a")}, "path"),
        ({"path": Path("regex", "/a|/b")}, "path"),
        ({"path": Path("regex", "/[^a]+")}, "path"),
        ({"path": Path("regex", "/(?=a)")}, "path"),
        ({"path": Path("regex", "/(a+){9}")}, "path"),
        ({"path": Path("regex", "/" + "[a-z]{99}" * 3)}, "path"),
        ({"path": Path("regex", "/a;b")}, "path"),
        ({"path": Path("template", "/.well-known/oauth-protected-resource/{x}")}, "path"),
        ({"host": "*.example"}, "host"),
        ({"host": "*.*.shop.example"}, "host"),
        ({"host": "*.1.2.3"}, "host"),
        ({"headers": (Condition("x-role", exact="a"),)}, "headers"),
        ({"headers": (Condition("authorization", present=True),)}, "headers"),
        ({"headers": (Condition("x-kronborg-client", exact="a"),)}, "headers"),
        ({"headers": (Condition(":method", exact="GET"),)}, "headers"),
        ({"headers": (Condition("accept", exact="a", prefix="b"),)}, "headers"),
        ({"headers": (Condition("accept", regex="(?!a)"),)}, "headers"),
        ({"headers": (Condition("accept", exact="a\r\nb: c"),)}, "headers"),
        ({"query": (Condition("a&b", present=True),)}, "query"),
        ({"query": (Condition("a", exact="b&c=d"),)}, "query"),
        ({"rewrite": Rewrite(prefix="/a", path="/b")}, "rewrite"),
        ({"rewrite": Rewrite(path="/a/{id}")}, "rewrite.path"),
        ({"rewrite": Rewrite(prefix="/a/../b")}, "rewrite.prefix"),
        ({"rewrite": Rewrite(host="a b")}, "rewrite.host"),
        ({"rewrite": Rewrite(path="/\\1")}, "rewrite.path"),
        ({"service": "", "redirect": Redirect()}, "redirect"),
        ({"service": "", "redirect": Redirect("https", code=200)}, "redirect.code"),
        ({"service": "", "redirect": Redirect("https"), "websocket": True}, ""),
        ({"redirect": Redirect("https")}, "service"),
        ({"request_headers": line("x-kronborg-subject")}, "request_headers"),
        ({"request_headers": line("x-user")}, "request_headers"),
        ({"request_headers": line("host")}, "request_headers"),
        ({"request_headers": line("transfer-encoding")}, "request_headers"),
        ({"request_headers": line("a", "b\nc: d")}, "request_headers"),
        ({"request_headers": HeaderEdits(remove=("x-request-id",))}, "request_headers"),
        ({"response_headers": line("access-control-allow-origin", "*")}, "response_headers"),
        ({"response_headers": line("www-authenticate")}, "response_headers"),
        ({"compress": True, "cookies": True}, "compress"),
        ({"compress": True, "stream": True}, "compress"),
        ({"grpc": True}, "grpc"),
        ({"websocket": True, "methods": ("POST",)}, "methods"),
        ({"idle": timedelta(minutes=1)}, "idle"),
        ({"split": (Share("nowhere", 1),)}, "split"),
        ({"split": (Share("there", 101),)}, "split"),
        ({"split": (Share("here", 1),)}, "split"),
        ({"canary": (Canary("there"),)}, "canary"),
        ({"canary": (Canary("there", header="x-canary"),)}, "canary"),
        ({"canary": (Canary("there", cookie="a b"),)}, "canary"),
        ({"mirror": Mirror("here")}, "mirror"),
        ({"mirror": Mirror("there"), "websocket": True}, "mirror"),
        ({"sticky": Sticky("user")}, "sticky.by"),
        ({"sticky": Sticky("cookie")}, "sticky"),
        ({"cors": Cors(("https://*",))}, "cors.origins"),
        ({"cors": Cors(("https://*.example",))}, "cors.origins"),
        ({"cors": Cors(("https://a.*.example",))}, "cors.origins"),
        ({"cors": Cors(("https://a.example",), ("x-user",))}, "cors.headers"),
    ],
)
def test_a_mistake_is_found_where_it_is(changed: dict[str, object], where: str) -> None:
    assert f"routes.one.{where}".rstrip(".") in told(replace(BASE, **changed))  # type: ignore[arg-type]


def test_routes_clash_by_what_they_take_however_it_is_written() -> None:
    first = replace(BASE, path=Path("template", "/a/{b}"), headers=(Condition("tier", exact="gold"),))
    same = replace(first, name="two", path=Path("template", "/a/{c}"))
    other = replace(first, name="two", headers=(Condition("tier", exact="tin"),))
    plain = replace(first, name="two", headers=())

    assert told(first, same) == ["routes.two"]
    assert told(first, other) == told(first, plain) == []


@pytest.mark.parametrize("text", ["a", "a+b*", "[a-z]{2,8}", "(?:a|b)c", r"v\d+\.\d+"])
def test_ordinary_expressions_are_taken(text: str) -> None:
    assert is_re2(text)


@given(st.text(alphabet="/ab.*+?()[]{}|^$\\d%;-", max_size=20))
def test_an_expression_that_is_taken_matches_no_twisted_path(text: str) -> None:
    found = read_regex(f"/{text}")

    if found is not None:
        for path in ("/;", "/a;b", "/%2f", "/a%3bb", "/\\", "/a\\b"):
            # [^/] takes every character; such paths are refused before any route is asked.
            assert re.fullmatch(found.regex, path) is None or "[^/]" in found.regex
        assert found.regex.startswith("/")


@given(st.from_regex(r"(/([a-z.:]{1,4}|\{[a-c](=\*\*)?\})){1,5}", fullmatch=True))
def test_a_template_matches_paths_that_begin_as_it_says(text: str) -> None:
    found = read_template(text)

    if found is not None:
        path = re.sub(r"\{[^}]*\}", "x", text)
        assert re.fullmatch(found.regex, path)
        assert path.startswith(found.literal)


paths = st.from_regex(r"(/[ab]{1,3}){1,3}", fullmatch=True)


@given(st.lists(st.tuples(paths, st.booleans()), max_size=120, unique=True), st.lists(paths, max_size=20))
def test_the_tree_answers_as_the_list_does(known: list[tuple[str, bool]], asked: list[str]) -> None:
    blocks = [Block(literal, wide, [{"name": f"{literal} {wide}"}]) for literal, wide in known]
    tree = buckets(blocks)

    for path in asked:
        key = max((key for key in tree if path.startswith(key)), key=len)

        def takes(block: Block, path: str = path) -> bool:
            return path.startswith(block.literal) if block.wide else path == block.literal

        assert [one for one in tree[key] if takes(one)] == [one for one in blocks if takes(one)]
