"""Serves the single-page client, its configuration and the product pictures under `/shop/`, all public."""

import json
import mimetypes
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from kronborg_shop.pictures import draw
from kronborg_shop.products import BY_ID, CURRENCY, PRODUCTS
from kronborg_shop.settings import PORTS, Settings, audience_of

STATIC = Path(__file__).parent / "static"
CLIENT_ID = "shop-web"

# What the web client asks of each service; the token for a service carries only these.
SCOPES = {
    "catalogue": "catalogue:read",
    "inventory": "inventory:read",
    "pricing": "pricing:read",
    "cart": "cart:read cart:write",
    "delivery": "delivery:read",
}
SHOWCASE = (
    "lanterne-pendant",
    "bro-lounge-chair",
    "klit-vase",
    "mole-table-lamp",
    "tang-rug",
    "bolge-mirror",
    "morgen-teapot",
    "sund-chair",
)


def add_pages(app: FastAPI, settings: Settings) -> None:
    """Mount the pages on `app`."""
    files = _read_files()
    pictures = {product.id: draw(product) for product in PRODUCTS}
    policy = content_policy(settings)
    config = json.dumps(_config(settings))
    showcase = json.dumps(_showcase())

    def answer(body: bytes | str, kind: str, *, cache: str = "no-cache") -> Response:
        return Response(
            body,
            media_type=kind,
            headers={
                "Content-Security-Policy": policy,
                "Cache-Control": cache,
                "Referrer-Policy": "no-referrer",
                "Cross-Origin-Opener-Policy": "same-origin",
                "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            },
        )

    @app.get("/shop", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/shop/", 308)

    @app.get("/shop/config.json", include_in_schema=False)
    async def configuration() -> Response:
        return answer(config, "application/json")

    @app.get("/shop/showcase.json", include_in_schema=False)
    async def show() -> Response:
        return answer(showcase, "application/json")

    @app.get("/shop/pictures/{name}.svg", include_in_schema=False)
    async def picture(name: str) -> Response:
        if name not in pictures:
            return Response(status_code=404)
        return answer(pictures[name], "image/svg+xml", cache="public, max-age=86400")

    @app.get("/shop/{path:path}", include_in_schema=False)
    async def page(path: str) -> Response:
        if path in files:
            kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
            return answer(files[path], kind)
        # The client routes in the browser: every other address is the same page, except missing files.
        if "." in path.rsplit("/", 1)[-1]:
            return Response(status_code=404)
        return answer(files["index.html"], "text/html; charset=utf-8")


def content_policy(settings: Settings) -> str:
    """A policy without any inline code, that allows one foreign address: the issuer."""
    parts = urlsplit(settings.issuer)
    issuer = f"{parts.scheme}://{parts.netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
        f"connect-src 'self' {issuer}; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _read_files() -> dict[str, bytes]:
    """Every static file by its path; an allow-list, so no request can name anything else."""
    return {str(path.relative_to(STATIC)): path.read_bytes() for path in STATIC.rglob("*") if path.is_file()}


def _config(settings: Settings) -> dict[str, object]:
    return {
        "issuer": settings.issuer,
        "client_id": CLIENT_ID,
        "gateway": settings.gateway_url,
        "redirect_uri": f"{settings.gateway_url}/shop/callback",
        "post_logout_redirect_uri": f"{settings.gateway_url}/shop/",
        "scope": "openid profile email",
        "currency": CURRENCY,
        "apis": {name: {"audience": audience_of(name), "scope": SCOPES[name]} for name in PORTS if name in SCOPES},
    }


def _showcase() -> list[dict[str, object]]:
    return [
        {
            "id": product.id,
            "name": product.name,
            "maker": product.maker,
            "price": product.price,
            "currency": CURRENCY,
            "picture": f"/shop/pictures/{product.id}.svg",
        }
        for product in (BY_ID[name] for name in SHOWCASE)
    ]
