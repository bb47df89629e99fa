"""What people prove themselves with besides a password: authenticators, passkeys, codes."""
