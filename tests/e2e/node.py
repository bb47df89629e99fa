"""Programs of others in Node, which talk to a test in lines of JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forms import Browser

CLIENTS = Path(__file__).resolve().parent.parent / "clients"


@dataclass(frozen=True, slots=True)
class Node:
    """A running program: one JSON object per line from it, one line of text at a time to it."""

    process: subprocess.Popen[str]

    def said(self) -> dict[str, Any]:
        """Its next line. What it wrote about its end is the reason when there is none."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        message: dict[str, Any] = json.loads(line)
        return message

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def node(program: str, wanted: Mapping[str, object]) -> Iterator[Node]:
    """Run `tests/clients/<program>.mjs` with what is wanted of it."""
    process = subprocess.Popen(
        ["node", f"{program}.mjs", json.dumps(wanted)],
        cwd=CLIENTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Node(process)
    finally:
        process.kill()
        process.communicate()


def allowed(issuer: str, url: str, username: str, password: str) -> str:
    """Sign in at `url` and agree to what is asked, in a browser of its own; where that leads to outside."""
    with Browser(issuer) as browser:
        answer = browser.sign_in(url, username, password)
        if not answer.is_redirect:
            answer = browser.decide(answer, "allow")
        return str(answer.headers["location"])
