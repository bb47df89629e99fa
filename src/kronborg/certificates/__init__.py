"""Certificates that the gateway shows and trusts: uploaded or obtained by ACME, kept sealed, renewed in time."""
