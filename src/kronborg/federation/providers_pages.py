"""Identity providers in the console: list, make from a preset, edit, test the connection, switch, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.federation.check_connection import check_connection
from kronborg.federation.model import Provider, ProviderDraft
from kronborg.federation.pages import federation_parts_of
from kronborg.federation.parting_form import PARTING, parting_in
from kronborg.federation.presets import PLAIN, PRESETS, draft_of
from kronborg.federation.provider_form import Part, parts_of_form, read_form, written
from kronborg.federation.providers import callback_of, remove_provider, save_provider, switch_provider
from kronborg.federation.providers_store import count_identities, find_provider, list_providers
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, confirm, done_of, may
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

LIST = "/console/providers"
READ, WRITE, DELETE = "providers:read", "providers:write", "providers:delete"
MANY = 1000
DONE = {
    "made": "The provider is there. Register the address below with it, then test the connection.",
    "saved": "The provider is saved.",
    "enabled": "People can sign in with it.",
    "disabled": "Nobody can sign in with it any more; sessions that have begun go on.",
    "works": "It answers as it should.",
    "deleted": "The provider is deleted.",
}


@dataclass(frozen=True, slots=True)
class ProvidersPage(ConsolePage):
    """What `federation/providers.html` shows."""

    providers: tuple[Provider, ...]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class Start:
    """A preset or a kind to begin with."""

    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class StartsPage(ConsolePage):
    """What `federation/starts.html` shows."""

    starts: tuple[Start, ...]


@dataclass(frozen=True, slots=True)
class ProviderPage(ConsolePage):
    """What `federation/provider.html` shows: a new provider, or one there is (`provider`)."""

    draft: ProviderDraft
    start: str
    provider: Provider | None
    parts: tuple[Part, ...]
    written: Mapping[str, str]
    callback: str
    links: int
    problems: tuple[Problem, ...]
    may_write: bool
    may_delete: bool
    done: str | None
    failed: str | None


def routes() -> list[Route]:
    """`/console/providers` and what is below it."""
    return [
        Route(LIST, show_providers, methods=["GET"]),
        Route(f"{LIST}/-/new", show_new, methods=["GET"]),
        Route(f"{LIST}/-/new", submit_new, methods=["POST"]),
        Route(LIST + "/{key}", show_provider, methods=["GET"]),
        Route(LIST + "/{key}", submit_provider, methods=["POST"]),
        Route(LIST + "/{key}/switch", submit_switch, methods=["POST"]),
        Route(LIST + "/{key}/test", submit_test, methods=["POST"]),
        Route(LIST + "/{key}/delete", show_delete, methods=["GET"]),
        Route(LIST + "/{key}/delete", submit_delete, methods=["POST"]),
    ]


async def show_providers(request: Request) -> Response:
    """Every provider, by name."""
    found = await admitted(request, READ, Resource("provider"))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        providers = tuple(await list_providers(session))
    done = done_of(request, DONE)
    page = ProvidersPage(found, "providers", providers, may(request, found, WRITE, Resource("provider")), done)
    return render(request, "federation/providers.html", page)


async def show_new(request: Request) -> Response:
    """First which one it is, then its form."""
    found = await admitted(request, WRITE, Resource("provider"))
    if isinstance(found, Response):
        return found
    start = request.query_params.get("start", "")
    if start not in PRESETS and start not in PLAIN:
        known = [Start(key, preset.name, preset.note or _sort(preset.kind)) for key, preset in PRESETS.items()]
        plain = [Start(kind, preset.name, _sort(kind)) for kind, preset in PLAIN.items()]
        return render(request, "federation/starts.html", StartsPage(found, "providers", (*plain, *known)))
    return await _form(request, found, draft_of(start), start=start)


async def submit_new(request: Request) -> Response:
    """Make it."""
    form = await checked_form(request)
    back = f"{LIST}/-/new"
    found = await admitted(request, WRITE, Resource("provider"), fresh=True, back=back)
    if isinstance(found, Response):
        return found
    start = form.get("start", "")
    if start not in PRESETS and start not in PLAIN:
        raise NotFound("there is no such preset")
    begun = draft_of(start)
    draft, problems = read_form(begun.kind, begun, form)
    async with parts_of(request).database.read() as session:
        if await find_provider(session, draft.key) is not None:
            problems.append(Problem("key", "there is a provider with this key", "choose another one"))
    problems += await _saved(request, found, draft, form) if not problems else []
    if problems:
        return await _form(request, found, draft, start=start, problems=tuple(problems))
    return redirect(request, f"{LIST}/{draft.key}?done=made")


async def show_provider(request: Request) -> Response:
    """One provider: its form, and what else can be done."""
    found = await admitted(request, READ, _resource(request))
    if isinstance(found, Response):
        return found
    provider = await _provider(request)
    return await _form(request, found, _draft(provider), provider=provider)


async def submit_provider(request: Request) -> Response:
    """Save what was changed."""
    form = await checked_form(request)
    found = await admitted(request, WRITE, _resource(request), fresh=True, back=_href(request))
    if isinstance(found, Response):
        return found
    provider = await _provider(request)
    fields = {name: value for name, value in form.items() if name != "key"}
    draft, problems = read_form(provider.kind, _draft(provider), fields)
    if form.get("version") != provider.updated_at.isoformat():
        problems.append(Problem("", "somebody else has changed it meanwhile", "open the page again"))
    problems += await _saved(request, found, draft, form) if not problems else []
    if problems:
        return await _form(request, found, draft, provider=provider, problems=tuple(problems))
    return redirect(request, f"{_href(request)}?done=saved")


async def submit_switch(request: Request) -> Response:
    """Let people sign in with it, or not any more."""
    form = await checked_form(request)
    found = await admitted(request, WRITE, _resource(request), fresh=True, back=_href(request))
    if isinstance(found, Response):
        return found
    enabled = form.get("enabled") == "1"
    async with whole(parts_of(request).database) as session:
        await switch_provider(session, _key(request), enabled=enabled, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{_href(request)}?done={'enabled' if enabled else 'disabled'}")


async def submit_test(request: Request) -> Response:
    """Ask the provider for what a sign-in needs, and tell what is wrong."""
    await checked_form(request)
    found = await admitted(request, WRITE, _resource(request))
    if isinstance(found, Response):
        return found
    provider = await _provider(request)
    failed = await check_connection(federation_parts_of(request).fetcher, provider, now=clock.now())
    done = None if failed else DONE["works"]
    return await _form(request, found, _draft(provider), provider=provider, failed=failed or None, done=done)


async def show_delete(request: Request) -> Response:
    """Ask."""
    found = await admitted(request, DELETE, _resource(request), fresh=True)
    if isinstance(found, Response):
        return found
    return confirm(request, await _question(request, found))


async def submit_delete(request: Request) -> Response:
    """Delete it, if its key was typed."""
    form = await checked_form(request)
    found = await admitted(request, DELETE, _resource(request), fresh=True, back=f"{_href(request)}/delete")
    if isinstance(found, Response):
        return found
    if not agreed(form, _key(request)):
        return confirm(request, await _question(request, found, error="Type the key of the provider."))
    async with whole(parts_of(request).database) as session:
        accounts = parting_in(form)
        await remove_provider(session, _key(request), accounts=accounts, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{LIST}?done=deleted")


async def _question(request: Request, found: Admitted, error: str = "") -> ConfirmPage:
    provider = await _provider(request)
    count = await _links(request, provider.key)
    people = f"{count} people" if count < MANY else f"{MANY} people or more"
    return ConfirmPage(
        found,
        "providers",
        title=f"Delete {provider.name}?",
        text="Nobody can sign in with this provider any more.",
        verb="Delete provider",
        action=f"{_href(request)}/delete",
        back=_href(request),
        effects=(
            f"{people} lose the link to it; their accounts stay.",
            "Who has no other way to sign in needs a new password by the letter, unless the account is disabled.",
        ),
        choice=PARTING,
        names=(provider.name,),
        crumbs=(("Identity providers", LIST), (provider.name, _href(request))),
        typed=provider.key,
        error=error,
    )


async def _saved(request: Request, found: Admitted, draft: ProviderDraft, form: Mapping[str, str]) -> list[Problem]:
    """Save; what is wrong, if anything. An empty secret leaves the one there is."""
    parts, secret = parts_of(request), form.get("secret", "").strip() or None
    try:
        async with whole(parts.database) as session:
            await save_provider(session, parts.vault, draft, secret=secret, actor=actor_of(found), now=clock.now())
    except Invalid as invalid:
        return list(invalid.problems)
    return []


async def _form(
    request: Request,
    found: Admitted,
    draft: ProviderDraft,
    *,
    start: str = "",
    provider: Provider | None = None,
    problems: tuple[Problem, ...] = (),
    failed: str | None = None,
    done: str | None = None,
) -> Response:
    parts = parts_of_form(draft)
    page = ProviderPage(
        found,
        "providers",
        draft=draft,
        start=start,
        provider=provider,
        parts=parts,
        written={field.name: written(draft.settings, field) for part in parts for field in part.fields},
        callback=callback_of(parts_of(request).issuer, draft.kind, draft.key or "{key}"),
        links=0 if provider is None else await _links(request, provider.key),
        problems=problems,
        may_write=may(request, found, WRITE, Resource("provider")),
        may_delete=may(request, found, DELETE, Resource("provider")),
        done=done or done_of(request, DONE),
        failed=failed,
    )
    return render(request, "federation/provider.html", page, status=422 if problems else 200)


async def _provider(request: Request) -> Provider:
    async with parts_of(request).database.read() as session:
        provider = await find_provider(session, _key(request))
    if provider is None:
        raise NotFound("there is no such identity provider")
    return provider


async def _links(request: Request, key: str) -> int:
    async with parts_of(request).database.read() as session:
        return await count_identities(session, key, most=MANY)


def _draft(provider: Provider) -> ProviderDraft:
    return ProviderDraft(provider.key, provider.kind, provider.name, provider.settings)


def _sort(kind: str) -> str:
    told = {
        "oidc": "Any provider that speaks OpenID Connect: Keycloak, ZITADEL, another Kronborg, a company's own.",
        "oauth2": "A provider of OAuth 2.0 with an API that tells who somebody is.",
        "saml": "A company's identity provider that speaks SAML 2.0.",
    }
    return told.get(kind, "")


def _key(request: Request) -> str:
    return str(request.path_params["key"])[:40].replace("\0", "")


def _href(request: Request) -> str:
    return f"{LIST}/{_key(request)}"


def _resource(request: Request) -> Resource:
    return Resource("provider", _key(request))
