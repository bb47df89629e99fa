"""Kronborg: identity platform, OAuth 2.0 / OpenID Connect server and API gateway in one product."""

__version__ = "0.1.0"
