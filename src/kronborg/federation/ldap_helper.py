"""The program that speaks LDAP, by the library bonsai, for the process that started it (`ldap_client`).

A process of its own because the library holds Python's global lock while it looks up a name, connects, shakes hands and
binds: a directory that hangs would stop everything else. This one is ended from outside when it takes too long.

Requests and answers are lines of JSON on the socket that is standard input; without a request it ends after a while.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SYSTEM_POLICY = Path("/etc/gnutls/config")
if hasattr(os, "memfd_create") and not SYSTEM_POLICY.exists():
    # The oldest TLS is 1.2. bonsai passes no such setting on, so GnuTLS, with which Debian builds libldap, is told by
    # the policy file that it reads when it is loaded. OpenSSL, elsewhere, takes nothing older by itself.
    POLICY = os.memfd_create("policy")
    os.write(POLICY, b"[overrides]\ndisabled-version = tls1.0\ndisabled-version = tls1.1\n")
    os.putenv("GNUTLS_SYSTEM_PRIORITY_FILE", f"/proc/self/fd/{POLICY}")

import bonsai  # noqa: E402 - after the policy that it is to obey

IDLE = 60.0
MAX_REQUEST = 1 << 20
MAX_ANSWER = 16 << 20
MAX_MEMORY = 512 << 20
WRONG = frozenset({19, 32, 34, 48, 49, 50, 53})
"""Result codes of a bind that is refused because of who asks: constraint violation (a locked account), no such object,
invalid DN, inappropriate authentication, invalid credentials, insufficient rights, unwilling to perform."""

_PLACE = re.compile(r"\{(login|dn)\}")

Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class Link:
    """A connection of the library, and the client whose settings it looks at with each search."""

    client: bonsai.LDAPClient
    connection: bonsai.LDAPConnection


class Server:
    """A server of a directory as the last `open` named it, and the connection that searches."""

    def __init__(self) -> None:
        self._asked: dict[str, Any] = {}
        self._authorities: tuple[str, str, IO[bytes] | None] = ("", "", None)
        self._searching: Link | None = None
        self._paging: Link | None = None
        """Its own: a server keeps one paged search for each connection, and questions in between would end it."""
        self._pages: Any = None

    def answer(self, request: dict[str, Any]) -> Answer:
        """What came of a request; never raises for what a directory does."""
        try:
            return self._done(request)
        except bonsai.NoSuchObjectError:
            return {"entries": [], "more": False}
        except bonsai.TimeoutError:
            return {"failed": "no answer in time"}
        except bonsai.ConnectionError as error:
            return {"failed": self._why(error)}
        except bonsai.LDAPError as error:
            # A code below nought is the library's own: nothing that a server has said.
            return {"refused": error.code} if error.code > 0 else {"failed": "the connection was refused or broken off"}
        except (MemoryError, OverflowError):
            return {"failed": "an answer is larger than it may be"}

    def _done(self, request: dict[str, Any]) -> Answer:
        match request["do"]:
            case "open":
                self._close()
                self._asked = request
                self._searching = self._bound(_name(request), request["password"])
                return {} if self._searching else {"wrong": True}
            case "check":
                link = self._bound(request["name"], request["password"])
                if link:
                    link.connection.close()
                return {} if link else {"wrong": True}
            case "close":
                self._close()
                return {}
            case "next":
                return self._next()
            case _:
                return self._search(request)

    def _bound(self, name: str, password: str) -> Link | None:
        """Connect, make it private and bind. RFC 4513 §5.1.2: with a name there is a password."""
        if name and not password:
            return None
        client = bonsai.LDAPClient(self._asked["url"], self._asked["start_tls"])
        client.set_cert_policy("demand")
        client.set_ca_cert(self._ca_file())
        client.set_server_chase_referrals(False)
        client.set_auto_page_acquire(False)
        if name:
            client.set_credentials("SIMPLE", user=name, password=password)
        try:
            return Link(client, bonsai.LDAPConnection(client).open(timeout=self._asked["answer"]))
        except bonsai.LDAPError as error:
            if error.code in WRONG:
                return None
            raise

    def _search(self, request: dict[str, Any]) -> Answer:
        """The first page of a search: so the server stops there, and nothing is held that nobody asked for."""
        link = self._searching
        if request["all"]:
            link = self._paging = self._bound(_name(self._asked), self._asked["password"])
        if link is None:
            raise bonsai.ClosedConnection
        if any("\0" in value for value in request["values"].values()):
            return {"entries": [], "more": False}
        wanted = list({name.lower(): name for name in request["attributes"]}.values())
        # All of them as bytes: some are, and a text need not be UTF-8.
        link.client.set_raw_attributes(wanted)
        pages: Any = link.connection.paged_search(
            request["base"],
            request["scope"],
            _filled(request["filter"], request["values"]),
            wanted,
            timeout=self._asked["answer"],
            page_size=request["size"],
        )
        if request["all"]:
            self._pages = pages
        return {"entries": [_entry(found) for found in pages], "more": True}

    def _next(self) -> Answer:
        message = self._pages.acquire_next_page()
        if message is None or self._paging is None:
            return {"entries": [], "more": False}
        self._pages = self._paging.connection.get_result(message, self._asked["answer"])
        return {"entries": [_entry(found) for found in self._pages], "more": True}

    def _close(self) -> None:
        links, self._searching, self._paging, self._pages = (self._searching, self._paging), None, None, None
        for link in links:
            if link is not None:
                with suppress(bonsai.LDAPError):
                    link.connection.close()

    def _ca_file(self) -> str | None:
        """The authorities as a file, which is how the library takes them; in memory, so none is left behind."""
        pem = self._asked["ca"]
        if not pem:
            return system_authorities()
        if self._authorities[0] != pem:
            if hasattr(os, "memfd_create"):
                kept: IO[bytes] = os.fdopen(os.memfd_create("authorities"), "wb")
                path = f"/proc/self/fd/{kept.fileno()}"
            else:
                kept = tempfile.NamedTemporaryFile()  # noqa: SIM115 - lives as long as the connection may
                path = kept.name
            kept.write(pem.encode())
            kept.flush()
            self._authorities = (pem, path, kept)
        return self._authorities[1]

    def _why(self, error: bonsai.LDAPError) -> str:
        """The library calls a bad certificate a failed connection: told apart where it can be."""
        said = str(error).lower()
        if "certificate" in said or "hostname" in said or (self._asked["start_tls"] and error.code == -11):
            return "the certificate is not valid for this name and these authorities"
        if self._asked["url"].startswith("ldaps") and self._bad_certificate():
            return "the certificate is not valid for this name and these authorities"
        return "the connection was refused or broken off"

    def _bad_certificate(self) -> bool:
        context = ssl.create_default_context(cadata=self._asked["ca"] or None)
        with (
            suppress(OSError),
            socket.create_connection((self._asked["host"], self._asked["port"]), timeout=1) as plain,
        ):
            try:
                context.wrap_socket(plain, server_hostname=self._asked["host"]).close()
            except ssl.SSLCertVerificationError:
                return True
        return False


def system_authorities() -> str | None:
    """The file of the authorities that this machine trusts."""
    paths = ssl.get_default_verify_paths()
    candidates = (paths.cafile, f"{paths.capath}/ca-certificates.crt", "/etc/ssl/certs/ca-certificates.crt")
    return next((path for path in candidates if path and Path(path).is_file()), None)


def _filled(text: str, values: dict[str, str]) -> str:
    """RFC 4515 §3: what stands in a place is a value, whatever it holds."""
    return _PLACE.sub(lambda place: bonsai.escape_filter_exp(_utf8(values.get(place[1], ""))), text)


def _name(request: dict[str, Any]) -> str:
    """Who binds. RFC 4514 §2.4: in a name what was typed is a value, whatever it holds."""
    name, login = str(request["name"]), _utf8(request["login"])
    return name.replace("{login}", bonsai.escape_attribute_value(login)) if login else name


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _entry(found: Any) -> Answer:
    attributes = {name: [_bytes(value) for value in found[name]] for name in found if name != "dn"}
    return {"dn": str(found.dn), "attributes": attributes}


def _bytes(value: object) -> str:
    raw = value if isinstance(value, (bytes, bytearray)) else str(value).encode()
    return b64encode(raw).decode("ascii")


def _lines(talk: socket.socket) -> Iterable[bytes]:
    talk.settimeout(IDLE)
    with suppress(TimeoutError, ConnectionError), talk.makefile("rb") as reader:
        while (line := reader.readline(MAX_REQUEST)).endswith(b"\n"):
            yield line


def main() -> None:
    """Answer until the other end goes away or has nothing to ask for a while."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    talk, server = socket.socket(fileno=0), Server()
    talk.sendall(b"{}\n")
    for line in _lines(talk):
        told = json.dumps(server.answer(json.loads(line))).encode() + b"\n"
        if len(told) > MAX_ANSWER:
            told = b'{"failed": "an answer is larger than it may be"}\n'
        talk.settimeout(None)
        talk.sendall(told)
        talk.settimeout(IDLE)


if __name__ == "__main__":
    main()
