"""A trial of a directory: does each server answer, is `bind_dn` taken, does the filter find people."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.core.crypto import Vault
from kronborg.federation.directories import bind_service
from kronborg.federation.directory_changes import opened_password
from kronborg.federation.directory_check import addresses_of, tls_context
from kronborg.federation.directory_model import KeptDirectory
from kronborg.federation.ldap_client import LdapConnection, LdapRefused, LdapUnavailable
from kronborg.federation.ldap_filter import encoded, for_everybody, parse_filter

LOOK = 100


@dataclass(frozen=True, slots=True)
class Tried:
    """Each server with its problem (empty when there is none), and how many people were found, at most 100."""

    servers: tuple[tuple[str, str], ...]
    people: int
    problem: str


async def try_directory(vault: Vault, kept: KeptDirectory) -> Tried:
    """Try a directory as it is kept; never raises for what a directory does."""
    directory, servers = kept.directory, list[tuple[str, str]]()
    people, problem = 0, "no server answers"
    context = tls_context(directory)
    sought = encoded(for_everybody(parse_filter(directory.search_filter)), {})
    for url, address in zip(directory.servers, addresses_of(directory), strict=True):
        try:
            connection = await LdapConnection.open(
                address, context, connect=directory.connect_timeout, answer=directory.answer_timeout
            )
            try:
                await bind_service(connection, directory, opened_password(vault, kept))
                servers.append((url, ""))
                if problem and directory.bind_as:
                    problem = ""  # nobody but people themselves may search
                elif problem:
                    found = await connection.search(directory.base, sought, ("cn",), limit=LOOK)
                    people, problem = len(found), "" if found else "nobody was found: look at base and filter"
            finally:
                await connection.close()
        except LdapUnavailable as failed:
            servers.append((url, failed.reason))
        except LdapRefused as refused:
            problem = f"the directory refused the search (result {refused.code})"
    return Tried(tuple(servers), people, problem)
