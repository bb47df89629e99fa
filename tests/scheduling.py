"""How tests are dealt to the workers: one by one, but those that share what is not cheap to start all to the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

SHARING = ("tests/e2e/", "tests/relying_parties/")
"""Folders whose tests share a demo or an identity process."""
APART = ("test_chaos.py", "test_outage.py", "test_people.py", "test_revocation.py")
"""Files of those folders that start what they need themselves."""
LONG = (
    "tests/admin/test_fuzz.py",
    "tests/console/test_browser.py",
    "tests/fleet/test_joined.py",
    "tests/factors/test_browser.py",
    "tests/oauth/test_stateful.py",
    "tests/provisioning/test_scim_tester.py",
    "tests/supervise/",
    "tests/pages/test_browser.py",
)
"""Where single tests take long: they come first, so that no worker is left alone with one at the end."""


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """The largest units first, for the same reason.

    The `xdist_group` mark would say the same, but xdist 3.8 writes it where pytest 9.2 does not look any more.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        for folder in SHARING:
            if file.startswith(folder) and not file.endswith(APART):
                return folder
        return file if _shares(file) else nodeid

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """What is done is forgotten: it would be counted again after each of nine thousand tests."""
        super().mark_test_complete(node, item_index, duration)
        work = self.assigned_work[node]
        for scope in [scope for scope, tests in work.items() if all(tests.values())]:
            del work[scope]


@cache
def _shares(file: str) -> bool:
    """Whether the tests of a file have a fixture in common, which each worker would make anew."""
    path = Path(__file__).parent.parent / file
    return path.is_file() and 'scope="module"' in path.read_text(encoding="utf-8")


def long_first(items: list[pytest.Item]) -> None:
    """Bring what takes long to the front; the rest stays in its order."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
