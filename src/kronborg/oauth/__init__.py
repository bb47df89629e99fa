"""OAuth 2.0 and OpenID Connect: the endpoints, their checks and their grants."""
