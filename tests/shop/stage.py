"""A stage for browsers: a small issuer over HTTP, and a door in front of the five services, on free ports.

The issuer signs everybody in at once (or says no, when told to), checks PKCE, rotates refresh tokens and
refuses used ones; it is what the shop's clients are tried against without Kronborg itself.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import parse_qs, unquote_plus, urlencode

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kronborg_sdk import Verifier
from kronborg_sdk.testing import FakeIssuer
from kronborg_shop.cart.main import build as build_cart
from kronborg_shop.catalogue.main import build as build_catalogue
from kronborg_shop.delivery.main import build as build_delivery
from kronborg_shop.inventory.main import build as build_inventory
from kronborg_shop.pricing.main import build as build_pricing
from kronborg_shop.settings import Settings, audience_of
from kronborg_shop.wish_list.main import build as build_wish_list
from ports import free_ports

BUILDERS = {
    "catalogue": build_catalogue,
    "inventory": build_inventory,
    "pricing": build_pricing,
    "cart": build_cart,
    "delivery": build_delivery,
}


@dataclass
class Identity:
    """The issuer, and the switches a test may turn."""

    url: str
    origin: str
    deny: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    logouts: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.issuer = FakeIssuer(self.url)

    def app(self) -> ASGIApp:
        routes = [
            Route("/.well-known/openid-configuration", self.metadata),
            Route("/oauth/jwks", self.jwks),
            Route("/oauth/authorize", self.authorize),
            Route("/oauth/token", self.token, methods=["POST"]),
            Route("/oauth/userinfo", self.userinfo),
            Route("/oauth/revoke", self.revoke, methods=["POST"]),
            Route("/oauth/logout", self.logout),
        ]
        app = Starlette(routes=routes)
        return CORSMiddleware(
            app, allow_origins=[self.origin], allow_methods=["GET", "POST"], allow_headers=["Authorization"]
        )

    async def metadata(self, request: Request) -> Response:
        names = {"authorization": "authorize", "token": "token", "end_session": "logout", "revocation": "revoke"}
        endpoints = {f"{name}_endpoint": f"{self.url}/oauth/{path}" for name, path in names.items()}
        return JSONResponse(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/oauth/jwks",
                "userinfo_endpoint": f"{self.url}/oauth/userinfo",
                "authorization_response_iss_parameter_supported": True,
                **endpoints,
            }
        )

    async def jwks(self, request: Request) -> Response:
        return JSONResponse(self.issuer.jwks())

    async def authorize(self, request: Request) -> Response:
        query = parse_qs(request.url.query)
        self.asked.append(query)
        answer = {"state": query["state"][0], "iss": self.url}
        if self.deny:
            answer["error"] = "access_denied"
        elif query.get("prompt") == ["none"] and "sid" not in request.cookies:
            answer["error"] = "login_required"
        else:
            answer["code"] = token_urlsafe()
            kept = ("client_id", "redirect_uri", "nonce", "code_challenge", "scope")
            self.codes[answer["code"]] = {name: query[name][0] for name in kept}
        response = RedirectResponse(f"{query['redirect_uri'][0]}?{urlencode(answer)}", 303)
        if "code" in answer:
            response.set_cookie("sid", "1", httponly=True)
        return response

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        client = form.get("client_id") or self._basic(request)
        match form["grant_type"]:
            case "client_credentials":
                token = self.issuer.machine_token(client, audience=form["resource"], scopes=form["scope"].split())
                return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})
            case "authorization_code":
                grant = self.codes.pop(form["code"], None)
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if grant is None or grant["code_challenge"] != challenge:
                    return JSONResponse({"error": "invalid_grant"}, 400)
            case _:
                grant = self.refresh.pop(form["refresh_token"], None)
                if grant is None:
                    return JSONResponse({"error": "invalid_grant"}, 400)
        return self._answer(client, grant, form["resource"])

    def _answer(self, client: str, grant: dict[str, str], resource: str) -> Response:
        service = resource.rsplit("/", 1)[-1]
        scopes = [scope for scope in grant["scope"].split() if scope.startswith(f"{service}:")]
        refresh_token = token_urlsafe()
        self.refresh[refresh_token] = grant
        claims = {
            "iss": self.url,
            "aud": client,
            "sub": "0192f3a0-astrid",
            "nonce": grant["nonce"],
            "exp": int(time.time()) + 300,
            "iat": int(time.time()),
        }
        access = self.issuer.token(audience=resource, scopes=scopes, subject="0192f3a0-astrid", client_id=client)
        return JSONResponse(
            {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": 300,
                "refresh_token": refresh_token,
                "id_token": self.issuer.sign(claims, {"typ": "JWT"}),
            }
        )

    async def userinfo(self, request: Request) -> Response:
        verifier = self.issuer.verifier(f"{self.url}/oauth/userinfo")
        caller = await verifier.verify(request.headers["authorization"].removeprefix("Bearer "))
        if not self.refresh:
            return Response(status_code=401)  # everything was withdrawn
        return JSONResponse({"sub": caller.subject, "name": "Astrid Holm"})

    async def revoke(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        self.refresh.pop(form["token"][0], None)
        return Response()

    async def logout(self, request: Request) -> Response:
        self.logouts.append(dict(request.query_params))
        response = RedirectResponse(request.query_params["post_logout_redirect_uri"], 303)
        response.delete_cookie("sid")
        return response

    def _basic(self, request: Request) -> str:
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        return unquote_plus(pair.partition(":")[0])


class Door:
    """Passes each request to the service its path names, as the gateway does; `closed` answers instead."""

    def __init__(self, apps: dict[str, FastAPI]) -> None:
        self._apps = apps
        self.closed: dict[str, tuple[int, dict[str, str]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        name = scope["path"].split("/")[1]
        if name in self.closed:
            status, headers = self.closed[name]
            body = {"status": status, "title": "Closed", "request_id": "r-42"}
            answer = Response(json.dumps(body), status, headers, "application/problem+json")
            await answer(scope, receive, send)
            return
        app = self._apps.get("catalogue" if name == "shop" else name, Response(status_code=404))
        await app(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            for app in self._apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def serving(app: ASGIApp, port: int) -> Iterator[None]:
    """Serve in a thread until the block ends."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 15
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise RuntimeError("a test server did not start")
            threading.Event().wait(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Stage:
    """Everything a browser needs."""

    identity: Identity
    door: Door
    shop: str
    wish_list: str
    settings: Settings


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Start the issuer, the shop and the wish list."""
    ports = free_ports(3)
    issuer_url, shop_url, wish_url = (f"http://localhost:{port}" for port in ports)
    secret = folder / "secret"
    secret.write_text("s3cret\n")
    settings = Settings(
        issuer=issuer_url,
        gateway_url=shop_url,
        folder=folder,
        client_id="shop-cart",
        client_secret_file=secret,
        inventory_url=shop_url,
        pricing_url=shop_url,
        delivery_url=shop_url,
    )
    identity = Identity(issuer_url, shop_url)
    apps = {name: build(settings, Verifier(issuer_url, audience_of(name))) for name, build in BUILDERS.items()}
    door = Door(apps)
    third_party = Settings(
        issuer=issuer_url,
        gateway_url=shop_url,
        folder=folder,
        client_id="wish-list",
        client_secret_file=secret,
    )
    wish_list = build_wish_list(third_party, wish_url)
    with (
        serving(identity.app(), ports[0]),
        serving(door, ports[1]),
        serving(wish_list, ports[2]),
    ):
        yield Stage(identity, door, shop_url, wish_url, settings)
    for app in (*apps.values(), wish_list):
        if hasattr(app.state, "database"):
            app.state.database.close()
