"""The section `webhooks` of a document: where events are sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kronborg.audit.model import WebhookDraft
from kronborg.gateway.declare.parts import Key, SecretReference, Section, Uri


class WebhookSection(Section):
    """Somewhere events are sent, signed as Standard Webhooks says. The key of the entry is its name."""

    url: Uri
    """Its https address; events are sent by POST."""
    events: Annotated[tuple[Key, ...], Field(max_length=50)] = ("*",)
    """Names of events, or prefixes with a star: `user.created`, `user.*`, `*`."""
    checkpoints: bool = False
    """Send the signed checkpoints of the audit log too."""
    secret: SecretReference | None = None
    """What signs: 24 to 64 bytes in base64, after `whsec_`. Without it, make one with `kronborg webhook secret`."""
    disabled: bool = False
    """Sends nothing while true."""


def webhook_of(name: str, section: WebhookSection) -> WebhookDraft:
    """The webhook that a section wishes for."""
    return WebhookDraft(name, section.url, section.events, section.checkpoints, section.disabled)
