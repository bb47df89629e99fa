"""What the sections of a file are made of: names, texts, addresses, references to secrets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Raises when something is named twice."""
    if len(set(values)) != len(values):
        raise PydanticCustomError("distinct", "names the same thing twice")
    return values


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""A short name: lower-case letters, digits and dashes."""

Key = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=200)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Words = Annotated[tuple[Key, ...], Field(max_length=200), AfterValidator(distinct)]
Uris = Annotated[tuple[Uri, ...], Field(max_length=100), AfterValidator(distinct)]

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class SecretReference(Section):
    """Where a secret is kept: the name of an environment variable, or the path of a file. Never the secret itself."""

    env: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] | None = None
    """The environment variable that holds it."""

    file: Uri | None = None
    """The file that holds it, relative to this one; a newline at its end is not part of it."""

    @model_validator(mode="before")
    @classmethod
    def _never_inline(cls, value: object) -> object:
        if isinstance(value, (str, int, float)):
            raise PydanticCustomError(
                "inline_secret", "stands in the clear; write { env: NAME } or { file: path } and keep it there"
            )
        return value

    @model_validator(mode="after")
    def _one(self) -> SecretReference:
        if (self.env is None) == (self.file is None):
            raise PydanticCustomError("reference", "needs either env or file")
        return self


class JwksSource(Section):
    """A JWK Set: in a file, or here, for public keys are no secret."""

    file: Uri | None = None
    """The file that holds the set, relative to this one."""

    keys: Annotated[tuple[dict[str, object], ...], Field(max_length=10)] | None = None
    """The keys themselves."""

    @model_validator(mode="after")
    def _one(self) -> JwksSource:
        if (self.file is None) == (self.keys is None):
            raise PydanticCustomError("reference", "needs either file or keys")
        return self
