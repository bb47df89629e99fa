"""A network for httpcore in which every name leads to one address. Imported by `fetch.py` at its first call."""

from __future__ import annotations

from collections.abc import Iterable

from httpcore import SOCKET_OPTION, AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream


class Pinned(AsyncNetworkBackend):
    """Connects to `address` whatever host is asked for, so that nothing is resolved a second time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._network = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """A connection to the pinned address."""
        return await self._network.connect_tcp(self._address, port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)
