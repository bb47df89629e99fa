"""The issuer's keys, kept at hand: fetched once for everybody, refreshed in the background, kept when identity is away.

- Many callers at once share one fetch; a caller that is cancelled does not take the fetch along.
- A `kid` we do not know causes one refetch (the issuer may have rotated), at most once per `refetch_interval`,
  so that invented key ids cannot be used to hammer the issuer.
- While the issuer cannot be reached the last keys stay good, for at most `max_stale`.

Works on asyncio. Where the keys are is configuration, or the issuer's own metadata; never a token's header.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from datetime import timedelta

import httpx

from kronborg_sdk.errors import InvalidToken, KeysUnavailable
from kronborg_sdk.keys import KeySet, VerifyKey, read_key_set
from kronborg_sdk.urls import require_safe

logger = logging.getLogger("kronborg_sdk")

MAX_BODY = 256 * 1024


class KeySource:
    """Keys of one issuer, by `kid`. One instance per process and issuer is enough."""

    def __init__(
        self,
        issuer: str,
        jwks_uri: str | None = None,
        *,
        http: httpx.AsyncClient | None = None,
        max_age: timedelta = timedelta(minutes=5),
        refetch_interval: timedelta = timedelta(seconds=5),
        max_stale: timedelta = timedelta(hours=24),
        timeout: timedelta = timedelta(seconds=5),
        plain_http: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`http` is used as it is and never closed; without it a client is made for each fetch.

        Plain HTTP is refused for hosts other than this machine unless `plain_http` says it is wanted.
        """
        require_safe(issuer if jwks_uri is None else jwks_uri, plain_http=plain_http)
        self._issuer = issuer
        self._jwks_uri = jwks_uri
        self._plain_http = plain_http
        self._http = http
        self._max_age = max_age.total_seconds()
        self._refetch_interval = refetch_interval.total_seconds()
        self._max_stale = max_stale.total_seconds()
        self._timeout = timeout.total_seconds()
        self._monotonic = monotonic
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    @property
    def fingerprints(self) -> frozenset[str]:
        """What tells the present set of keys from another; changes when the issuer adds or removes one."""
        return frozenset() if self._keys is None else self._keys.fingerprints

    async def find(self, key_id: str | None, algorithm: str) -> VerifyKey:
        """The key a token names. Raises `InvalidToken` for an unknown key, `KeysUnavailable` without keys."""
        keys = await self._current()
        key = keys.find(key_id, algorithm)
        if key is None and self._may_fetch():
            await self._fetch_once()
            key = None if self._keys is None else self._keys.find(key_id, algorithm)
        if key is not None:
            return key
        if self._failed:
            raise KeysUnavailable("the issuer's keys cannot be refreshed")
        raise InvalidToken("the token is signed with an unknown key")

    async def ready(self) -> None:
        """Fetch the keys now if there are none, for example at start. Raises `KeysUnavailable`."""
        await self._current()

    async def refresh(self) -> None:
        """Fetch the keys now, whatever their age; a failure keeps the old ones."""
        await self._fetch_once()

    async def _current(self) -> KeySet:
        if self._keys is None and self._may_fetch():
            await self._fetch_once()
        if self._keys is None:
            raise KeysUnavailable("the issuer's keys cannot be read")
        age = self._monotonic() - self._fetched_at
        if age > self._max_stale:
            if self._may_fetch():
                await self._fetch_once()
            if self._monotonic() - self._fetched_at > self._max_stale:
                raise KeysUnavailable("the issuer's keys are too old")
        elif age > self._max_age and self._may_fetch():
            self._start()  # in the background: this caller goes on with the keys at hand
        return self._keys

    def _may_fetch(self) -> bool:
        if self._fetching is not None and not self._fetching.done():
            return True
        return self._tried_at is None or self._monotonic() - self._tried_at >= self._refetch_interval

    def _start(self) -> asyncio.Task[None]:
        if self._fetching is None or self._fetching.done():
            self._tried_at = self._monotonic()
            self._fetching = asyncio.create_task(self._fetch(), name="kronborg-jwks")
        return self._fetching

    async def _fetch_once(self) -> None:
        await asyncio.shield(self._start())

    async def _fetch(self) -> None:
        """Read the keys; a failure is remembered, not raised, because the old keys may still serve."""
        try:
            uri = self._jwks_uri or await self._discover()
            keys = read_key_set(await self._get(uri))
            if len(keys) == 0:
                raise ValueError("the JWKS holds no usable key")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
            self._failed = True
            logger.warning("the issuer's keys could not be read: %s", type(error).__name__)
            return
        self._failed = False
        self._keys = keys
        self._fetched_at = self._monotonic()

    async def _discover(self) -> str:
        # OpenID Connect Discovery 1.0 §4.3: the document's issuer must be the one we asked.
        document = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        uri = document.get("jwks_uri")
        if document.get("issuer") != self._issuer or not isinstance(uri, str):
            raise ValueError("the metadata is not this issuer's")
        require_safe(uri, plain_http=self._plain_http)
        self._jwks_uri = uri
        return uri

    async def _get(self, url: str) -> dict[str, object]:
        if self._http is not None:
            return await self._read(self._http, url)
        async with httpx.AsyncClient(follow_redirects=False) as http:
            return await self._read(http, url)

    async def _read(self, http: httpx.AsyncClient, url: str) -> dict[str, object]:
        body = bytearray()
        async with asyncio.timeout(self._timeout):
            async with http.stream("GET", url, timeout=self._timeout, follow_redirects=False, auth=None) as answer:
                if answer.status_code != 200:
                    raise ValueError("the issuer did not answer 200")
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise ValueError("the issuer's answer is too large")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("the issuer's answer is not a JSON object")
        return document
