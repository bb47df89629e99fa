"""Static files: read once at start, named by the hash of their bytes, cached for a year by browsers."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core.brand import Brand, style_sheet

STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file in memory; `digest` changes when its bytes do."""

    body: bytes
    packed: bytes | None
    media_type: str
    digest: str


class Assets:
    """The static files of one installation, its brand included."""

    def __init__(self, brand: Brand) -> None:
        self._assets = {path.name: _asset(path.name, path.read_bytes()) for path in sorted(STATIC.iterdir())}
        self._assets["brand.css"] = _asset("brand.css", style_sheet(brand).encode())
        self.logo: str | None = None
        if brand.logo is not None:
            self.logo = f"logo{brand.logo.suffix.lower()}"
            self._assets[self.logo] = _asset(self.logo, brand.logo.read_bytes())
        self.own: str | None = None
        if brand.css is not None:
            self.own = "own.css"
            self._assets[self.own] = _asset(self.own, brand.css.read_bytes())
        self.icon = self.logo or "mark.svg"
        if brand.icon is not None:
            self.icon = f"icon{brand.icon.suffix.lower()}"
            self._assets[self.icon] = _asset(self.icon, brand.icon.read_bytes())

    def url(self, name: str) -> str:
        """The address of a file, which changes whenever the file does. Raises `KeyError` for an unknown name."""
        return f"/static/{name}?v={self._assets[name].digest}"

    def routes(self) -> list[Route]:
        """`GET /static/{name}`."""
        return [Route("/static/{name}", self._serve, methods=["GET"], name="static")]

    async def _serve(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        current = request.query_params.get("v") == asset.digest
        headers = {
            "etag": f'"{asset.digest}"',
            "cache-control": "public, max-age=31536000, immutable" if current else "no-cache",
            "vary": "accept-encoding",
            # An SVG opened on its own must not run anything either.
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        body = asset.body
        if asset.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = asset.packed
            headers["content-encoding"] = "gzip"
        return Response(body, media_type=asset.media_type, headers=headers)


def _asset(name: str, body: bytes) -> Asset:
    media_type = _TYPES.get(Path(name).suffix)
    if media_type is None:
        raise ValueError(f"{name}: a static file ends in one of {', '.join(_TYPES)}")
    packed = gzip.compress(body, 9, mtime=0)
    worth_it = len(body) > 1024 and len(packed) < len(body) * 0.9
    return Asset(body, packed if worth_it else None, media_type, hashlib.sha256(body).hexdigest()[:16])
