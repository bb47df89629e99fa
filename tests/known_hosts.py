"""Which hosts the product may name, and what looks like a secret."""

import re

# Hosts that may be written in the product: the loopback, names reserved for examples, names of specifications.
KNOWN_HOSTS = re.compile(
    r"localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|([\w-]+\.)*(example|test|invalid|localhost)|([\w-]+\.)*example\.(com|org|net)"
    r"|json-schema\.org|www\.w3\.org|www\.rfc-editor\.org|datatracker\.ietf\.org|iana\.org|www\.iana\.org|(schemas\.)?openid\.net"
    r"|www\.envoyproxy\.io|www\.apache\.org|htmx\.org|spdx\.org"
)
# The one module that says where the providers are that everybody knows.
PRESET_HOSTS = re.compile(
    r"accounts\.google\.com|login\.microsoftonline\.com|(api\.)?github\.com|gitlab\.com|appleid\.apple\.com"
    r"|(www|graph)\.facebook\.com|www\.linkedin\.com"
)
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n?[A-Za-z0-9+/]{16}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    r"|\bkro_(at|rt|ac|cs|dc|rq)_[A-Za-z0-9_-]{43,}"
)
