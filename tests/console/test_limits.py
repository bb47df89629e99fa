"""Live limits in the console: who is over, and letting them begin anew."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from console.conftest import ADMIN, AUDITOR, Console
from kronborg.core import clock
from kronborg.limits.counters_model import Kept
from kronborg.limits.store import save

pytestmark = pytest.mark.anyio

WHO = "gateway-1\ta<b>&c"


async def test_who_is_over_is_shown_and_begins_anew(console: Console) -> None:
    now = clock.now()
    async with console.engine.database.write() as session:
        await save(session, [Kept("daily", WHO, now, now + timedelta(hours=1), 10, 10)])
    ada, reader = await console.signed_in("ada", ADMIN), await console.signed_in("rita", AUDITOR)

    seen, read = (await ada.get("/console/limits")).text, (await reader.get("/console/limits")).text
    link = html.unescape(re.findall(r'href="(/console/limits/-/reset\?[^"]+)"', seen)[0])
    done = await ada.post("/console/limits/-/reset", {"identity": WHO}, page=link)
    after = await ada.get("/console/limits?done=reset")

    assert "a&lt;b&gt;&amp;c" in seen
    assert "Over" in seen
    assert "/-/reset" not in read
    assert done.status_code == 303
    assert "Nobody counted yet" in after.text
