"""Tokens: signing keys, codes, refresh tokens, access tokens of both kinds, and their revocation."""
