"""Where the secrets that a file refers to are read: an environment and a folder, both handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kronborg.gateway.declare.parts import SecretReference

MAX_SECRET_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Secrets:
    """`folder` None means that no file may be read: so for documents that arrive over HTTP."""

    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def read(self, reference: SecretReference) -> str | None:
        """The secret, without the newline at the end of a file; None when it is not to be had here."""
        if reference.env is not None:
            return self.environment.get(reference.env) or None
        text = self.file(reference.file or "")
        return text.removesuffix("\n").removesuffix("\r") or None if text is not None else None

    def file(self, name: str, *, most: int = MAX_SECRET_FILE) -> str | None:
        """The text of a file; None when it cannot be read, is too large or is not text."""
        if self.folder is None or not name or "\0" in name:
            return None
        try:
            with (self.folder / name).open("rb") as file:
                raw = file.read(most + 1)
            return raw.decode("utf-8") if len(raw) <= most else None
        except (OSError, ValueError):
            return None


def how_to_give(reference: SecretReference) -> tuple[str, str]:
    """What is wrong when a secret is not to be had, and the mend."""
    if reference.env is not None:
        return f"the environment variable {reference.env} is not set", "set it, or keep the secret in a file"
    return f"the file {reference.file} cannot be read", "create it, readable by its owner only"
