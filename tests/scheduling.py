"""How tests are dealt to the workers: one by one, but those of a folder that shares a process all to the same."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

SHARING = ("tests/e2e/", "tests/relying_parties/")
"""Folders whose tests share a demo or an identity process, which are not cheap to start."""


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """The largest units first, so that no worker is left alone with one at the end.

    The `xdist_group` mark would say the same, but xdist 3.8 writes it where pytest 9.2 does not look any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in SHARING if nodeid.startswith(folder)), nodeid)
