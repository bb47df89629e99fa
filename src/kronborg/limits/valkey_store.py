"""Counters in Valkey: exact over any number of control processes, one round trip for each batch.

Each counter is a hash from `start:ends` to what was used; one script counts and grants, so that nobody comes between.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kronborg.core.db import from_micros, to_micros
from kronborg.limits.counters_model import Ask, Away, Counters, Standing

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

_PREFIX = "kronborg:quota:"
_TIMEOUT = 0.5
_MARGIN = timedelta(minutes=1)

# The same as `counters.settled`, in the server. ARGV: now, start, ends, joins, count, spent, wanted, least.
# Times are microseconds, which a double holds exactly until the year 2255.
_SCRIPT = """
local now, count, spent = tonumber(ARGV[1]), tonumber(ARGV[5]), tonumber(ARGV[6])
local wanted, least = tonumber(ARGV[7]), tonumber(ARGV[8])
local slots, used = {}, 0
local flat = redis.call('HGETALL', KEYS[1])
for at = 1, #flat, 2 do
  local start, ends = flat[at]:match('^(%d+):(%d+)$')
  if tonumber(ends) > now then
    local held = tonumber(flat[at + 1])
    slots[#slots + 1] = { field = flat[at], start = tonumber(start), ends = tonumber(ends), used = held }
    used = used + held
  else
    redis.call('HDEL', KEYS[1], flat[at])
  end
end
table.sort(slots, function(a, b) return a.start < b.start end)
spent = math.max(spent, -used)
local left, granted = count - used - spent, 0
if wanted > 0 and left >= math.max(least, 1) then
  granted = math.min(left, math.max(least, math.min(wanted, math.max(1, math.floor(left / 4)))))
end
local amount = spent + granted
local last = tonumber(ARGV[3])
if amount > 0 then
  local field = ARGV[2] .. ':' .. ARGV[3]
  for _, slot in ipairs(slots) do
    if ARGV[4] == '1' or slot.start == tonumber(ARGV[2]) then
      field, last = slot.field, slot.ends
      break
    end
  end
  redis.call('HINCRBY', KEYS[1], field, string.format('%.0f', amount))
else
  local off = -amount
  for at = #slots, 1, -1 do
    local here = math.min(off, slots[at].used)
    if here > 0 then
      redis.call('HINCRBY', KEYS[1], slots[at].field, string.format('%.0f', -here))
      off = off - here
    end
  end
end
local first = amount > 0 and last or nil
for _, slot in ipairs(slots) do
  if first == nil or slot.ends < first then first = slot.ends end
end
if first == nil then first = last end
local lasts = string.format('%.0f', math.max(0, last - now) / 1000 + tonumber(ARGV[9]))
redis.call('PEXPIRE', KEYS[1], lasts, 'NX')
redis.call('PEXPIRE', KEYS[1], lasts, 'GT')
return { string.format('%.0f', granted), string.format('%.0f', used + amount), string.format('%.0f', first) }
"""


class ValkeyCounters(Counters):
    """Counters in one Valkey, shared by all that name it."""

    def __init__(self, client: Valkey) -> None:
        self._client = client
        self._script = client.register_script(_SCRIPT)

    @classmethod
    def at(cls, url: str, password: str | None) -> ValkeyCounters:
        """Counters at `url`; nothing is connected yet."""
        from valkey.asyncio import Valkey
        from valkey.asyncio.retry import Retry
        from valkey.backoff import NoBackoff

        return cls(
            Valkey.from_url(
                url,
                password=password,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                # A call that was counted and not answered must not be counted again.
                retry=Retry(NoBackoff(), 0),
                max_connections=16,
            )
        )

    async def settle(self, asks: Sequence[Ask], *, now: datetime) -> list[Standing]:
        """Count and grant."""
        from valkey.exceptions import ValkeyError

        try:
            async with asyncio.timeout(_TIMEOUT * 2):
                async with self._client.pipeline(transaction=False) as pipe:
                    for ask in asks:
                        await self._script(keys=[_key(ask.quota, ask.identity)], args=_arguments(ask, now), client=pipe)
                    answers = await pipe.execute()
        except (ValkeyError, OSError, TimeoutError) as away:
            raise Away("Valkey does not answer") from away
        return [Standing(int(granted), int(used), from_micros(int(ends))) for granted, used, ends in answers]

    async def reset(self, quota: str, identity: str) -> None:
        """Forget what a counter holds."""
        from valkey.exceptions import ValkeyError

        try:
            await self._client.delete(_key(quota, identity))
        except (ValkeyError, OSError) as away:
            raise Away("Valkey does not answer") from away

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _key(quota: str, identity: str) -> str:
    # No name of a quota has a newline in it, so no identity can reach into another quota's keys.
    return f"{_PREFIX}{quota}\n{identity}"


def _arguments(ask: Ask, now: datetime) -> list[str]:
    numbers = (
        *(to_micros(now), to_micros(ask.slot.start), to_micros(ask.slot.ends), int(ask.slot.joins)),
        *(ask.count, ask.spent, ask.wanted, ask.least),
    )
    return [*(str(one) for one in numbers), str(math.ceil(_MARGIN.total_seconds() * 1000))]
