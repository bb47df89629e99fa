"""A network for httpcore in which every name leads to known addresses. Imported by `fetch.py` at its first call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from httpcore import SOCKET_OPTION, AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream, ConnectError, ConnectTimeout

ONE_TRY = 1.5
"""Seconds that an address may take to answer when there is another one to try."""


class Pinned(AsyncNetworkBackend):
    """Connects to the first of `addresses` that answers, whatever host is asked for: nothing is resolved again."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = tuple(addresses)
        self._network = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """A connection to one of the addresses."""
        *others, last = self._addresses
        for address in others:
            try:
                return await self._network.connect_tcp(address, port, ONE_TRY, local_address, socket_options)
            except (ConnectError, ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)
