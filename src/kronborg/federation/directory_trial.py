"""A trial of a directory: does each server answer, is `bind_dn` taken, does the filter find people."""

from __future__ import annotations

from dataclasses import dataclass

from kronborg.core.crypto import Vault
from kronborg.federation.directories import REFUSED, service_of
from kronborg.federation.directory_check import addresses_of
from kronborg.federation.directory_model import KeptDirectory
from kronborg.federation.ldap_client import LdapConnection, LdapRefused, LdapUnavailable, LdapWrong
from kronborg.federation.ldap_filter import for_everybody

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
    sought = for_everybody(directory.search_filter)
    for url, address in zip(directory.servers, addresses_of(directory), strict=True):
        try:
            connection = await LdapConnection.open(
                address,
                directory.ca,
                service_of(vault, kept),
                connect=directory.connect_timeout,
                answer=directory.answer_timeout,
            )
            try:
                servers.append((url, ""))
                if problem and directory.bind_as:
                    problem = ""  # nobody but people themselves may search
                elif problem:
                    found = await connection.search(directory.base, sought, ("cn",), limit=LOOK)
                    people, problem = len(found), "" if found else "nobody was found: look at base and filter"
            finally:
                await connection.close()
        except LdapWrong:
            # It answers. Where people bind as themselves, it need not let nobody in.
            servers.append((url, "" if directory.bind_as else REFUSED))
            problem = "" if directory.bind_as else problem
        except LdapUnavailable as failed:
            servers.append((url, failed.reason))
        except LdapRefused as refused:
            problem = f"the directory refused the search (result {refused.code})"
    return Tried(tuple(servers), people, problem)
