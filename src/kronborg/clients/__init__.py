"""Clients: the applications that ask for tokens, and the APIs the tokens are for."""
