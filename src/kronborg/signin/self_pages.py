"""All pages that people reach by letter or by themselves, as one list for the composition root."""

from __future__ import annotations

from starlette.routing import Route

from kronborg.signin import activity_pages, data_pages, link_pages, profile_pages, register_pages


def routes() -> list[Route]:
    """Registration and recovery, the links of letters, profile, activity and data."""
    return [
        *register_pages.routes(),
        *link_pages.routes(),
        *profile_pages.routes(),
        *activity_pages.routes(),
        *data_pages.routes(),
    ]
