"""One file per HTTP filter: what it is in the listener, and what a route says to it."""
