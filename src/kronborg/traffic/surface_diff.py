"""What differs between the attack surfaces of two dates, method by method."""

from __future__ import annotations

from collections.abc import Iterable

from kronborg.traffic.surface_model import Change, Differences, Exposure

_Key = tuple[str, str, str, str]
_ACCESS = {"public": "anybody", "token": "any token of the API", "narrowed": "who has what it asks for besides a token"}


def differences(before: Iterable[Exposure], after: Iterable[Exposure]) -> Differences:
    """`opened` asked for a token before and asks for none now; `weaker` asks for less, `stronger` for more."""
    old, new = _ways(before), _ways(after)
    reachable, closed, opened, weaker, stronger = [], [], [], [], []
    for key, one in new.items():
        was = old.get(key)
        if was is None:
            reachable.append(_change(key, one, f"open to {_ACCESS[one.access]}"))
        elif one.access == "public" and was.access != "public":
            opened.append(_change(key, one, "asked for a token, and asks for none now"))
        elif was.access == "public" and one.access != "public":
            stronger.append(_change(key, one, f"was public, and is open to {_ACCESS[one.access]}"))
        else:
            less, more = _moved(was, one)
            if less:
                weaker.append(_change(key, one, "; ".join(less)))
            if more:
                stronger.append(_change(key, one, "; ".join(more)))
    for key, one in old.items():
        if key not in new:
            closed.append(_change(key, one, f"was open to {_ACCESS[one.access]}"))
    return Differences(*(tuple(sorted(found, key=_order)) for found in (reachable, opened, weaker, closed, stronger)))


def by_path(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes with the methods of which the same is said as one."""
    merged: dict[tuple[str, str, str, str], list[str]] = {}
    for one in changes:
        merged.setdefault((one.host, one.path, one.route, one.what), []).append(one.method)
    return tuple(Change(host, path, " ".join(some), route, what) for (host, path, route, what), some in merged.items())


def _ways(exposures: Iterable[Exposure]) -> dict[_Key, Exposure]:
    return {(one.host, one.kind, one.path, method): one for one in exposures for method in one.methods}


def _change(key: _Key, one: Exposure, what: str) -> Change:
    return Change(one.host, one.place, key[3], one.route, what)


def _order(one: Change) -> tuple[str, str, str]:
    return one.host, one.path, one.method


def _moved(was: Exposure, now: Exposure) -> tuple[list[str], list[str]]:
    """What is asked for less, and more."""
    less, more = [], []
    for name, gone, come in (
        ("scopes", set(was.scopes) - set(now.scopes), set(now.scopes) - set(was.scopes)),
        ("limits", set(was.limits) - set(now.limits), set(now.limits) - set(was.limits)),
    ):
        less += [f"{name} gone: {', '.join(sorted(gone))}"] if gone else []
        more += [f"{name} new: {', '.join(sorted(come))}"] if come else []
    # One of the roles is enough: more of them let more people in, but the first one shuts others out.
    if was.roles != now.roles:
        wider = bool(was.roles) and (not now.roles or set(now.roles) > set(was.roles))
        told = f"roles {', '.join(was.roles) or 'none'}, now {', '.join(now.roles) or 'none'}"
        (less if wider else more).append(told)
    if len(now.credentials) != len(was.credentials):
        told = f"takes {', '.join(now.credentials)}"
        (less if len(now.credentials) > len(was.credentials) else more).append(told)
    for name, had, has in (
        ("rules", was.rules, now.rules),
        ("policy", was.policy, now.policy),
        ("step-up", was.step_up, now.step_up),
        ("address list", was.addresses, now.addresses),
    ):
        if has < had:
            less.append(f"{name} gone")
        elif has > had:
            more.append(f"{name} new")
    return less, more
