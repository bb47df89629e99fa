"""Everything the SDK raises on purpose.

    SdkError
    ├─ InvalidToken          the token is not acceptable              → 401 invalid_token
    ├─ InvalidRequest        the credentials are presented wrongly    → 400 invalid_request
    ├─ MissingToken          no credentials at all                    → 401 without an error code
    ├─ InsufficientScope     the token is good but not for this       → 403 insufficient_scope
    ├─ KeysUnavailable       no keys to verify with                   → 503
    └─ TokenRequestFailed    the token endpoint did not give a token

`detail` is fixed ASCII text: it never echoes input, so it may be shown and logged.
"""


class SdkError(Exception):
    """The base of every error of this package."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidToken(SdkError):
    """The access token is malformed, forged, expired or meant for somebody else."""


class InvalidRequest(SdkError):
    """Credentials came in a way RFC 6750 does not allow, for example twice."""


class MissingToken(SdkError):
    """The request carries no access token."""

    def __init__(self) -> None:
        super().__init__("this resource needs an access token")


class InsufficientScope(SdkError):
    """The token is valid but lacks a scope or a role."""

    def __init__(self, detail: str, *, scopes: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.scopes = scopes


class KeysUnavailable(SdkError):
    """The issuer's keys could not be read, so no decision is possible now."""


class TokenRequestFailed(SdkError):
    """The token endpoint refused or could not be reached; `error` is its OAuth error code, if it gave one."""

    def __init__(self, detail: str, *, error: str | None = None) -> None:
        super().__init__(detail if error is None else f"{detail} ({error})")
        self.error = error
