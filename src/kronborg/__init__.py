"""Kronborg: identity platform, OAuth 2.0 / OpenID Connect server and API gateway in one product."""
