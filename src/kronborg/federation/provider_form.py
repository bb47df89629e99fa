"""The form of a provider in the console: which fields it has, and what was written into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from kronborg.core.errors import Problem
from kronborg.federation.model import Kind, ProviderDraft, ProviderSettings
from kronborg.federation.presets import preset_of

Sort = Literal["text", "lines", "pairs", "flag", "choice", "pem"]
MAX_LINES = 400
SEPARATOR = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Field:
    """One field: a setting of `ProviderSettings`. `usual` is what holds when it is left empty."""

    name: str
    label: str
    hint: str = ""
    sort: Sort = "text"
    options: tuple[tuple[str, str], ...] = ()
    usual: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Fields that belong together."""

    title: str
    lead: str
    fields: tuple[Field, ...]


_METHODS = (
    ("", "As usual for this provider"),
    ("client_secret_basic", "Secret in the header (client_secret_basic)"),
    ("client_secret_post", "Secret in the body (client_secret_post)"),
    ("private_key_jwt", "A signature (private_key_jwt)"),
    ("none", "Not at all (PKCE alone)"),
)
_OIDC = (
    Field("issuer", "Issuer", "Exactly as its ID tokens carry it in iss; discovery is read from there.", needed=True),
    Field("client_id", "Client id", "What the provider calls this server.", needed=True),
    Field("auth_method", "Proves itself by", "", "choice", _METHODS),
    Field("scopes", "Scopes", "One to a line.", "lines"),
)
_MICROSOFT = (Field("tenant", "Tenant", "The id of the tenant, or organizations for any company.", needed=True),)
_APPLE = (
    Field("team_id", "Team id", needed=True),
    Field("key_id", "Key id", "Of the private key that is the secret.", needed=True),
)
_ADDRESSES = (
    Field("authorization_endpoint", "Authorization endpoint", needed=True),
    Field("token_endpoint", "Token endpoint", needed=True),
    Field("userinfo_endpoint", "Who somebody is (userinfo endpoint)", needed=True),
)
_SAML = (
    Field("issuer", "Entity id of the provider", needed=True),
    Field("sso_url", "Address of its single sign-on service", needed=True),
    Field(
        "sso_binding",
        "Requests are sent by",
        "",
        "choice",
        (("redirect", "HTTP redirect"), ("post", "HTTP POST")),
    ),
    Field(
        "certificates", "Certificates", "PEM, one after the other; two while it changes its key.", "pem", needed=True
    ),
    Field(
        "name_id_format",
        "Kind of name to ask for",
        "",
        "choice",
        (("persistent", "Persistent"), ("email", "E-mail address"), ("unspecified", "Whatever it likes")),
    ),
    Field("client_id", "Our entity id", "The address of our metadata when empty."),
)
_PEOPLE = (
    Field("shown", "Show a button on the sign-in page", "", "flag"),
    Field("home_domains", "Home domains", "Addresses of these domains lead here from the sign-in page.", "lines"),
    Field("provision", "Make accounts for people who have none", "", "flag"),
    Field("update", "Take over name, address and groups at each sign-in", "For accounts that it made.", "flag"),
    Field("allowed_domains", "Only these domains may come in", "Verified addresses; anybody when empty.", "lines"),
    Field(
        "trust_email",
        "Believe that an address is verified when it says so",
        "Never where people can write any address into their profile.",
        "flag",
    ),
    Field(
        "trusted_domains",
        "Domains that it speaks for",
        "Verified addresses of these link to the account that has proved the same address.",
        "lines",
    ),
    Field("trust_amr", "Believe the methods it tells (amr)", "Its second factor then counts here.", "flag"),
    Field("multi_factor_acr", "Values of acr that mean several factors", "One to a line.", "lines"),
)
_CLAIMS = (
    Field("subject_claim", "Who somebody is"),
    Field("username_claim", "Username"),
    Field("name_claim", "Full name"),
    Field("email_claim", "E-mail address"),
    Field("groups_claim", "Groups"),
    Field("groups", "Groups of the provider and ours", "One to a line: theirs = ours.", "pairs"),
    Field("attributes", "Attributes", "One to a line: ours = claim.", "pairs"),
)


def parts_of_form(draft: ProviderDraft) -> tuple[Part, ...]:
    """The fields for a provider of this kind and preset."""
    preset, own = preset_of(draft), draft.settings
    protocol: tuple[Field, ...]
    if draft.kind == "saml":
        protocol = _SAML
    elif draft.kind == "oauth2":
        protocol = (*_OIDC[1:], *_ADDRESSES)
    else:
        protocol = _OIDC
    protocol += {"microsoft": _MICROSOFT, "apple": _APPLE}.get(own.preset, ())
    out = (*_PEOPLE, Field("logout", "Sign out there too", "", "flag")) if draft.kind == "oidc" else _PEOPLE
    return (
        Part("Connection", preset.note, tuple(_with_usual(one, draft) for one in protocol)),
        Part("People", "Who may come in, and what is believed of them.", out),
        Part(
            "Claims" if draft.kind != "saml" else "Attributes of the assertion",
            "What is taken from where. Empty fields are as usual for this provider.",
            tuple(_with_usual(one, draft) for one in _CLAIMS),
        ),
    )


def _with_usual(field: Field, draft: ProviderDraft) -> Field:
    usual = getattr(preset_of(draft), field.name, "")
    return replace(field, usual=", ".join(usual) if isinstance(usual, tuple) else str(usual or ""))


def written(settings: ProviderSettings, field: Field) -> str:
    """What a field holds."""
    value = getattr(settings, field.name)
    if field.sort == "flag":
        return "1" if value else ""
    if field.sort == "pairs":
        return "\n".join(f"{name} = {one}" for name, one in value.items())
    if isinstance(value, tuple):
        return "\n".join(value)
    return str(value or "")


def read_form(kind: Kind, before: ProviderDraft, form: Mapping[str, str]) -> tuple[ProviderDraft, list[Problem]]:
    """The provider that a form describes, and what could not be read."""
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for part in parts_of_form(before):
        for field in part.fields:
            text = form.get(field.name, "").replace("\r", "").strip()
            values[field.name] = _read(field, text, problems)
    known = {one.name for one in fields(ProviderSettings)}
    settings = replace(before.settings, **{name: value for name, value in values.items() if name in known})
    key = before.key if form.get("key") is None else form["key"].strip()
    return ProviderDraft(key, kind, form.get("name", "").strip(), settings), problems


def _read(field: Field, text: str, problems: list[Problem]) -> object:
    lines = [line.strip() for line in text.split("\n") if line.strip()][:MAX_LINES]
    match field.sort:
        case "flag":
            return bool(text)
        case "lines":
            return tuple(dict.fromkeys(lines))
        case "pem":
            parts = [part.strip() for part in text.split(SEPARATOR)]
            return tuple(f"{part}\n{SEPARATOR}\n" for part in parts if part)
        case "pairs":
            pairs = {}
            for line in lines:
                name, equals, value = (part.strip() for part in line.partition("="))
                if not (name and equals and value):
                    problems.append(Problem(field.name, "holds a line without =", "write: one = other"))
                    break
                pairs[name] = value
            return pairs
        case "choice":
            return (text or None) if field.name == "auth_method" else (text or field.options[0][0])
        case _:
            return text
