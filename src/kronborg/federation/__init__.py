"""Who else vouches for people: OpenID Connect, OAuth 2.0 and SAML providers, LDAP directories."""
