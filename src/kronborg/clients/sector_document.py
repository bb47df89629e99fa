"""The document of a sector identifier (OIDC Core §8.1): who registers itself has to be listed in the one it names.

Without this anybody could register into the sector of another, and would know its people by the same subjects.
"""

from __future__ import annotations

from kronborg.clients.redirects import url_problem
from kronborg.core.errors import Invalid, Problem
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.json import JsonObject, read_list

ACCEPT = ("application/json",)


async def check_sector(fetcher: Fetcher, metadata: JsonObject) -> None:
    """See that the sector identifier URI of this metadata lists every redirect URI of it. Raises `Invalid`.

    Metadata without one passes, and so does what is refused later for its form.
    """
    uri, redirect_uris = metadata.get("sector_identifier_uri"), metadata.get("redirect_uris")
    if not isinstance(uri, str) or not isinstance(redirect_uris, list) or url_problem(uri) is not None:
        return
    try:
        listed = read_list((await fetcher.get(uri, accept=ACCEPT)).body)
    except (Unreachable, ValueError):
        where = "settings.sector_identifier_uri"
        problem = Problem(where, "leads to no JSON list that could be fetched", "serve the list as application/json")
        raise Invalid(problem) from None
    if any(one not in listed for one in redirect_uris):
        where = "settings.sector_identifier_uri"
        raise Invalid(
            Problem(where, "leads to a list without all of the redirect URIs", "add every redirect URI to it")
        )
