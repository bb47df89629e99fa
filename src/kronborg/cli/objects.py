"""The commands for objects: `kronborg client|api|registration|user|group|service|route|key|token|events|logouts`."""

from __future__ import annotations

from kronborg.cli import app
from kronborg.cli.alerts import alerts_commands
from kronborg.cli.api_keys import api_key_commands
from kronborg.cli.applications import api_commands, client_commands
from kronborg.cli.audit import audit_commands
from kronborg.cli.breakers import breaker_commands
from kronborg.cli.certificates import certificate_commands
from kronborg.cli.directories import directory_commands
from kronborg.cli.documents import document_commands
from kronborg.cli.drafts import draft_commands, version_commands
from kronborg.cli.factors import user_reset_mfa
from kronborg.cli.fleet import fleet_commands, gateway_commands
from kronborg.cli.mail import mail_commands, user_invite
from kronborg.cli.operations import events, key_commands, logouts
from kronborg.cli.organisations import organisation_commands
from kronborg.cli.people import group_commands, user_commands
from kronborg.cli.people_import import user_import
from kronborg.cli.policies import policy_commands
from kronborg.cli.providers import provider_commands
from kronborg.cli.quota import quota_commands
from kronborg.cli.registration import registration_commands
from kronborg.cli.routing import route_commands, service_commands
from kronborg.cli.simulate import simulate_commands
from kronborg.cli.surface import surface_commands
from kronborg.cli.token_issuers import token_issuer_commands
from kronborg.cli.tokens import token_commands
from kronborg.cli.traffic import traffic_commands
from kronborg.cli.webhooks import webhook_commands
from kronborg.cli.what_if import draft_what_if, version_what_if

app.add_typer(client_commands, name="client")
app.add_typer(api_commands, name="api")
app.add_typer(registration_commands, name="registration")
app.add_typer(quota_commands, name="quota")
app.add_typer(certificate_commands, name="certificate")
user_commands.command("import")(user_import)
user_commands.command("invite")(user_invite)
user_commands.command("reset-mfa")(user_reset_mfa)
app.add_typer(user_commands, name="user")
app.add_typer(group_commands, name="group")
app.add_typer(organisation_commands, name="organisation")
app.add_typer(provider_commands, name="provider")
app.add_typer(directory_commands, name="directory")
service_commands.add_typer(document_commands, name="document")
app.add_typer(service_commands, name="service")
app.add_typer(route_commands, name="route")
app.add_typer(policy_commands, name="policy")
app.add_typer(breaker_commands, name="breaker")
draft_commands.command("what-if")(draft_what_if)
version_commands.command("what-if")(version_what_if)
app.add_typer(draft_commands, name="draft")
app.add_typer(version_commands, name="version")
app.add_typer(simulate_commands, name="simulate")
app.add_typer(fleet_commands, name="fleet")
app.add_typer(gateway_commands, name="gateway")
app.add_typer(key_commands, name="key")
app.add_typer(api_key_commands, name="api-key")
app.add_typer(token_commands, name="token")
app.add_typer(token_issuer_commands, name="token-issuer")
app.add_typer(audit_commands, name="audit")
app.add_typer(traffic_commands, name="traffic")
app.add_typer(surface_commands, name="surface")
app.add_typer(alerts_commands, name="alerts")
app.add_typer(mail_commands, name="mail")
app.add_typer(webhook_commands, name="webhook")
app.command()(events)
app.command()(logouts)
