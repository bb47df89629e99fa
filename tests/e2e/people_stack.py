"""An installation that people register with: `kronborg up` on free ports, an SMTP server that keeps the letters."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from queue import Queue
from urllib.parse import urlencode

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from kronborg.supervise import die_with_parent
from letter_box import read, text_of
from ports import free_port, free_ports

START_WITHIN = 60
LETTER_WITHIN = 20
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""RFC 7636 Appendix B."""

FILE = """
version: 1
server:
  issuer: http://localhost:{identity}
  gateway_url: http://localhost:{gateway}
  gateway: {{ port: {gateway} }}
  identity: {{ port: {identity} }}
  control: {{ port: {control} }}
  worker: {{ port: {worker} }}
  mail: {{ sender: "Kronborg <no-reply@kronborg.example>", host: 127.0.0.1, port: {smtp}, security: none }}
  people: {{ registration: {{ open: true }} }}
clients:
  bank:
    name: Bank
    kind: public
    first_party: true
    grants: [authorization_code, refresh_token]
    redirect_uris: ["http://localhost:{bank}/callback"]
    scopes: [openid, offline_access]
"""


@dataclass
class SmtpServer:
    """Takes every letter."""

    letters: Queue[EmailMessage] = field(default_factory=Queue)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.letters.put(read(envelope.content))
        return "250 OK"


@dataclass(frozen=True, slots=True)
class PeopleStack:
    """A running installation, its post, and a client of it."""

    url: str
    bank: str
    post: SmtpServer

    def link(self, path: str) -> str:
        """The link to this path in the next letter that has one; letters before it are put away."""
        while True:
            text = text_of(self.post.letters.get(timeout=LETTER_WITHIN))
            found = re.search(rf"{re.escape(self.url + path)}\?\S+", text)
            if found:
                return found[0]

    def authorize(self, **more: str) -> str:
        """The address at which the bank asks for a code."""
        asked = {"response_type": "code", "client_id": "bank", "redirect_uri": f"{self.bank}/callback"}
        asked |= {"scope": "openid offline_access", "state": "s"}
        asked |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return f"{self.url}/oauth/authorize?{urlencode(asked | more)}"

    def exchange(self, code: str) -> dict[str, str]:
        """The tokens for a code."""
        answer = self._token(grant_type="authorization_code", code=code, redirect_uri=f"{self.bank}/callback")
        assert answer.status_code == 200, answer.text
        tokens: dict[str, str] = answer.json()
        return tokens

    def refresh(self, token: str) -> httpx.Response:
        """What a refresh token is worth."""
        return self._token(grant_type="refresh_token", refresh_token=token)

    def _token(self, **parameters: str) -> httpx.Response:
        body = {"client_id": "bank", "code_verifier": VERIFIER, **parameters}
        return httpx.post(f"{self.url}/oauth/token", data=body, trust_env=False)


@contextmanager
def people_stack(folder: Path) -> Iterator[PeopleStack]:
    """Start it, wait until its identity process and its worker answer, end it with SIGINT."""
    names = ("gateway", "identity", "control", "worker", "bank")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    post = SmtpServer()
    smtp = Controller(post, hostname="127.0.0.1", port=free_port())
    smtp.start()
    file = folder / "kronborg.yaml"
    file.write_text(FILE.format(**ports, smtp=smtp.port))
    kronborg = Path(sys.executable).with_name("kronborg")
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [str(kronborg), "up", "--file", str(file), "--data", str(folder / "data")],
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        _wait(process, folder / "output.txt")
        yield PeopleStack(f"http://localhost:{ports['identity']}", f"http://localhost:{ports['bank']}", post)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        smtp.stop()


def _wait(process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while "everything ready" not in output.read_text():
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)  # a process of its own: there is nothing to wait on
