"""Measures what alert rules are about: traffic, gateways, breakers, quotas, certificates, the surface, sign-ins.

Each answers by subject, or None where nothing can be said: too few requests, no gateway, a surface that nobody judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from kronborg.certificates.store import list_certificates
from kronborg.core.db import Database
from kronborg.fleet.show import Shown, shown
from kronborg.gateway.alert_model import OF_TRAFFIC, AlertRule, Measure
from kronborg.gateway.breakers_store import list_stands
from kronborg.gateway.canary_store import canary_results
from kronborg.limits.live import live
from kronborg.traffic.alerts_model import Measured
from kronborg.traffic.alerts_store import count_failed_sign_ins
from kronborg.traffic.histogram_model import percentile
from kronborg.traffic.parts import Traffic
from kronborg.traffic.search_model import TOTAL, Count, Span
from kronborg.traffic.surface_store import list_days

_MINUTE = timedelta(minutes=1)
_STALE_SURFACE = timedelta(days=1)


class Meter:
    """Measures for one turn; what several rules ask for is read once."""

    def __init__(self, database: Database, traffic: Traffic, *, now: datetime) -> None:
        self._database, self._traffic, self._now = database, traffic, now
        self._counts: dict[timedelta, Sequence[Count]] = {}
        self._gateways: Sequence[Shown] | None = None

    async def measure(self, rule: AlertRule) -> Measured:
        """What a rule is about, now."""
        if rule.measure in OF_TRAFFIC:
            return await self._of_traffic(rule)
        ways: Mapping[Measure, Callable[[AlertRule], Awaitable[Measured]]] = {
            "quota_use": self._quotas,
            "breaker_open": self._breakers,
            "gateway_silent": self._silent,
            "gateway_rejected": self._rejected,
            "revocation_lag": self._revocation,
            "certificate_days": self._certificates,
            "surface_score": self._surface,
            "surface_drop": self._surface,
            "surface_critical": self._surface,
            "sign_in_failures": self._sign_ins,
        }
        return await ways[rule.measure](rule)

    def _span(self, rule: AlertRule) -> Span:
        """The whole minutes before this one."""
        end = self._now.replace(second=0, microsecond=0)
        return Span(end - max(rule.window, _MINUTE), end)

    async def _of_traffic(self, rule: AlertRule) -> Measured:
        span = self._span(rule)
        if rule.measure in ("p95", "p99"):
            found = await self._traffic.ask(lambda store: store.latencies(span, route=rule.route or None))
            buckets: Counter[int] = Counter()
            for latency in found:
                if latency.kind == TOTAL:
                    buckets[latency.bucket] += latency.n
            if buckets.total() < max(rule.least, 1):
                return None
            return {"": percentile(buckets, 0.95 if rule.measure == "p95" else 0.99)}
        if rule.window not in self._counts:
            self._counts[rule.window] = await self._traffic.ask(
                lambda store: store.counts(span, ("route", "service", "client"))
            )
        meant = [one for one in self._counts[rule.window] if _is_meant(rule, one)]
        total, seconds = sum(one.n for one in meant), (span.end - span.start).total_seconds()
        if rule.measure == "requests":
            return {"": total / seconds}
        if total < max(rule.least, 1):
            return None
        if rule.measure == "errors":
            return {"": 100 * sum(one.n for one in meant if one.status >= 500) / total}
        refused = [one for one in meant if one.reason and one.status < 500 and rule.reason in ("", one.reason)]
        return {"": sum(one.n for one in refused) / seconds}

    async def _fleet(self) -> Sequence[Shown]:
        if self._gateways is None:
            async with self._database.read() as session:
                self._gateways = await shown(session, now=self._now)
        return self._gateways

    async def _silent(self, _rule: AlertRule) -> Measured:
        seen = {one.name: (self._now - one.seen_at).total_seconds() for one in await self._fleet() if one.seen_at}
        return seen or None

    async def _rejected(self, _rule: AlertRule) -> Measured:
        gateways = await self._fleet()
        return {one.name: 1.0 for one in gateways if one.state == "rejected"} if gateways else None

    async def _quotas(self, _rule: AlertRule) -> Measured:
        fullest: dict[str, float] = {}
        for one in await live(self._database, now=self._now, limit=200):
            fullest[one.quota] = max(fullest.get(one.quota, 0.0), float(one.percent))
        return fullest

    async def _breakers(self, rule: AlertRule) -> Measured:
        async with self._database.read() as session:
            stands = await list_stands(session)
        meant = [one for one in stands if one.phase == "open" and rule.service in ("", one.service)]
        return {service: float(n) for service, n in Counter(one.service for one in meant).items()}

    async def _revocation(self, rule: AlertRule) -> Measured:
        async with self._database.read() as session:
            results = await canary_results(session, since=self._now - rule.window)
        newest: dict[str, float] = {}
        for one in results:
            if one.outcome in ("refused", "late"):
                newest.setdefault(one.proxy, one.took.total_seconds() * 1000)
        return newest or None

    async def _certificates(self, _rule: AlertRule) -> Measured:
        async with self._database.read() as session:
            certificates = await list_certificates(session)
        days = {one.name: (one.not_after - self._now) / timedelta(days=1) for one in certificates if one.not_after}
        for gateway in await self._fleet():
            # They renew themselves every few days: only one that did not is news.
            if gateway.certificate_expires_at is not None and gateway.ends_soon:
                days[f"gateway {gateway.name}"] = (gateway.certificate_expires_at - self._now) / timedelta(days=1)
        return days

    async def _surface(self, rule: AlertRule) -> Measured:
        async with self._database.read() as session:
            days = await list_days(session, limit=2)
        if not days or self._now - days[0].at > _STALE_SURFACE:
            return None
        if rule.measure == "surface_score":
            return {"": float(days[0].score)}
        if rule.measure == "surface_critical":
            return {"": float(days[0].critical)}
        return {"": float(max(0, days[1].score - days[0].score))} if len(days) > 1 else None

    async def _sign_ins(self, rule: AlertRule) -> Measured:
        count = await count_failed_sign_ins(self._database.lookup, self._now - rule.window)
        return {"": count / (rule.window / _MINUTE)}


def _is_meant(rule: AlertRule, one: Count) -> bool:
    route, service, client = one.keys
    return rule.route in ("", route) and rule.service in ("", service) and rule.client in ("", client)
