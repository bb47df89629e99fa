"""API keys and personal access tokens: hashed, prefixed, scoped, expiring, and traded for the internal JWT."""
