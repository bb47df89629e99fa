"""Tables of APIs, scopes, clients and secrets, and every statement that touches them."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from kronborg.clients.model import Api, Client, ClientSecret
from kronborg.clients.rows import (
    api_values,
    apis_of,
    client_of,
    client_values,
    moment,
    parsed,
    plain_client,
    plain_secret,
)
from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup
from kronborg.core.json import JsonObject

MAX_PAGE = 200
_IN_BROWSERS = "web_origins <> '[]'"

apis_table = Table(
    "clients_apis",
    metadata,
    Column("id", Text, primary_key=True),
    Column("audience", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("token_format", Text, nullable=False),
    Column("token_lifetime", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("settings", Json),
)

scopes_table = Table(
    "clients_scopes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("api_id", Text, ForeignKey("clients_apis.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("description", Text, nullable=False),
    Column("position", Integer, nullable=False),
)

clients_table = Table(
    "clients_clients",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("auth_method", Text, nullable=False),
    Column("redirect_uris", Json, nullable=False),
    Column("post_logout_redirect_uris", Json, nullable=False),
    Column("web_origins", Json, nullable=False),
    Column("grants", Json, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("jwks", Json),
    Column("first_party", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("settings", Json),
    # The few clients that run in browsers, which every process asks for twice a second.
    Index(
        "ix_clients_clients_web_origins",
        "id",
        sqlite_where=text(_IN_BROWSERS),
        postgresql_where=text(_IN_BROWSERS),
    ),
)

secrets_table = Table(
    "clients_secrets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("clients_clients.id", ondelete="CASCADE"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("sealed", Text),
    Index("ix_clients_secrets_client_id", "client_id"),
)

_CLIENT = """
SELECT id, name, kind, auth_method, redirect_uris, post_logout_redirect_uris, web_origins, grants, scopes, audiences,
       jwks, first_party, disabled, created_at, updated_at, settings
FROM clients_clients WHERE id = ?
"""
_SECRETS = """
SELECT id, digest, created_at, expires_at, last_used_at, sealed FROM clients_secrets WHERE client_id = ?
ORDER BY created_at, id
"""
_APIS = """
SELECT id, audience, name, token_format, token_lifetime, created_at, updated_at, settings FROM clients_apis ORDER BY id
"""
_SCOPES = "SELECT name, api_id, description FROM clients_scopes ORDER BY api_id, position"
_SECRET_USED = "UPDATE clients_secrets SET last_used_at = ? WHERE id = ?"  # noqa: S105  # a statement
_ALGORITHMS = "SELECT settings FROM clients_clients WHERE settings LIKE ?"
_LEGACY = """
SELECT grants, settings FROM clients_clients
WHERE disabled = ? AND (grants LIKE ? OR grants LIKE ? OR settings LIKE ?)
"""
_SELF_SIGNED = "SELECT jwks, settings FROM clients_clients WHERE auth_method = ? AND disabled = ?"
_ORIGIN = f"SELECT web_origins FROM clients_clients WHERE disabled = ? AND {_IN_BROWSERS}"  # noqa: S608  # our own


# --- hot reads -----------------------------------------------------------------------------------------------------


async def read_client(lookup: Lookup, client_id: str) -> Client | None:
    """The client with its secrets, committed state."""
    row = await lookup.first(_CLIENT, (client_id,))
    if row is None:
        return None
    secrets = await lookup.all(_SECRETS, (client_id,))
    return client_of(plain_client(row), [plain_secret(secret) for secret in secrets])


async def read_apis(lookup: Lookup) -> tuple[Api, ...]:
    """Every API with its scopes, committed state."""
    apis = [(*row[:5], moment(row[5]), moment(row[6]), parsed(row[7])) for row in await lookup.all(_APIS)]
    return apis_of(apis, await lookup.all(_SCOPES))


async def read_web_origins(lookup: Lookup) -> frozenset[str]:
    """The web origins of every client that is not disabled."""
    rows = await lookup.all(_ORIGIN, (False,))
    return frozenset(origin for (text,) in rows for origin in orjson.loads(cast("str", text)))


async def read_opt_ins(lookup: Lookup) -> tuple[frozenset[str], frozenset[str]]:
    """The grants and response types of enabled clients that registered more than the usual ones."""
    rows = await lookup.all(_LEGACY, (False, '%"implicit"%', '%"password"%', "%response_types%"))
    grants = frozenset(grant for text, _ in rows for grant in orjson.loads(cast("str", text)))
    chosen = [orjson.loads(cast("str", text)) for _, text in rows if text is not None]
    return grants, frozenset(kind for settings in chosen for kind in settings.get("response_types", ()))


async def read_response_algorithms(lookup: Lookup) -> frozenset[str]:
    """The algorithms that clients registered for what the server signs."""
    rows = await lookup.all(_ALGORITHMS, ("%_signed_response_alg%",))
    settings = [orjson.loads(cast("str", text)) for (text,) in rows]
    return frozenset(one[name] for one in settings for name in one if name.endswith("_signed_response_alg"))


async def read_self_signed(lookup: Lookup) -> list[tuple[JsonObject | None, str | None]]:
    """`jwks` and `jwks_uri` of every client that authenticates with a certificate of its own."""
    rows = await lookup.all(_SELF_SIGNED, ("self_signed_tls_client_auth", False))
    settings = [cast("JsonObject", parsed(text) or {}) for _, text in rows]
    return [
        (cast("JsonObject | None", parsed(jwks)), cast("str | None", chosen.get("jwks_uri")))
        for (jwks, _), chosen in zip(rows, settings, strict=True)
    ]


def mark_secret_used(execute: Execute, secret_id: str, *, now: datetime) -> None:
    """Note when a secret was last used; a unit of the group writer."""
    execute(_SECRET_USED, (to_micros(now), secret_id))


# --- APIs ----------------------------------------------------------------------------------------------------------


async def list_apis(session: ReadSession) -> tuple[Api, ...]:
    """Every API, by id."""
    apis = await session.execute(select(apis_table).order_by(apis_table.c.id))
    columns = (scopes_table.c.name, scopes_table.c.api_id, scopes_table.c.description)
    scopes = await session.execute(select(*columns).order_by(scopes_table.c.api_id, scopes_table.c.position))
    return apis_of(apis, scopes)


async def find_api(session: ReadSession, audience: str) -> Api | None:
    """The API of an audience."""
    return next((api for api in await list_apis(session) if api.audience == audience), None)


async def insert_api(session: Session, api: Api) -> None:
    """A new API with its scopes."""
    await session.execute(insert(apis_table).values(id=api.id, created_at=api.created_at, **api_values(api)))
    await _insert_scopes(session, api)


async def replace_api(session: Session, api: Api) -> None:
    """Make the stored API equal to `api`."""
    await session.execute(update(apis_table).where(apis_table.c.id == api.id).values(**api_values(api)))
    await session.execute(delete(scopes_table).where(scopes_table.c.api_id == api.id))
    await _insert_scopes(session, api)


async def delete_api(session: Session, api_id: str) -> None:
    """Remove an API and its scopes."""
    await session.execute(delete(scopes_table).where(scopes_table.c.api_id == api_id))
    await session.execute(delete(apis_table).where(apis_table.c.id == api_id))


async def _insert_scopes(session: Session, api: Api) -> None:
    rows: list[dict[str, object]] = [
        {"name": scope.name, "api_id": api.id, "description": scope.description, "position": position}
        for position, scope in enumerate(api.scopes)
    ]
    await session.execute_many(insert(scopes_table), rows)


# --- clients -------------------------------------------------------------------------------------------------------


async def find_client(session: ReadSession, client_id: str) -> Client | None:
    """The client with its secrets."""
    row = await session.first(select(clients_table).where(clients_table.c.id == client_id))
    if row is None:
        return None
    columns = [column for column in secrets_table.c if column.name != "client_id"]
    owned = secrets_table.c.client_id == client_id
    secrets = await session.execute(
        select(*columns).where(owned).order_by(secrets_table.c.created_at, secrets_table.c.id)
    )
    return client_of(row, secrets)


async def list_clients(
    session: ReadSession, *, search: str = "", after: str = "", limit: int = 50
) -> tuple[Client, ...]:
    """Clients by id, after the id `after`, at most 200; `search` matches part of the id or name. Without secrets."""
    query = select(clients_table).where(clients_table.c.id > after).order_by(clients_table.c.id)
    if search:
        query = query.where(
            or_(
                func.lower(clients_table.c.id).contains(search.lower(), autoescape=True),
                func.lower(clients_table.c.name).contains(search.lower(), autoescape=True),
            )
        )
    rows = await session.execute(query.limit(max(1, min(limit, MAX_PAGE))))
    return tuple(client_of(row, ()) for row in rows)


async def insert_client(session: Session, client: Client) -> None:
    """A new client, without its secrets."""
    await session.execute(insert(clients_table).values(**client_values(client), created_at=client.created_at))


async def replace_client(session: Session, client: Client) -> None:
    """Make the stored client equal to `client`; secrets and `created_at` stay."""
    await session.execute(update(clients_table).where(clients_table.c.id == client.id).values(**client_values(client)))


async def delete_client(session: Session, client_id: str) -> bool:
    """Remove a client and its secrets; whether it was there."""
    await session.execute(delete(secrets_table).where(secrets_table.c.client_id == client_id))
    gone = await session.scalar(
        delete(clients_table).where(clients_table.c.id == client_id).returning(clients_table.c.id)
    )
    return gone is not None


async def insert_secret(session: Session, client_id: str, secret: ClientSecret) -> None:
    """One more secret of a client."""
    await session.execute(
        insert(secrets_table).values(
            id=secret.id,
            client_id=client_id,
            digest=secret.digest,
            created_at=secret.created_at,
            expires_at=secret.expires_at,
            sealed=secret.sealed,
        )
    )


async def delete_secret(session: Session, client_id: str, secret_id: str) -> bool:
    """Remove a secret; whether it was there."""
    owned = (secrets_table.c.id == secret_id) & (secrets_table.c.client_id == client_id)
    return await session.scalar(delete(secrets_table).where(owned).returning(secrets_table.c.id)) is not None


async def unseal_secrets(session: Session, client_id: str) -> None:
    """Keep no more than the digests of a client's secrets."""
    await session.execute(update(secrets_table).where(secrets_table.c.client_id == client_id).values(sealed=None))


async def delete_secrets(session: Session, client_id: str) -> None:
    """Remove every secret of a client."""
    await session.execute(delete(secrets_table).where(secrets_table.c.client_id == client_id))
