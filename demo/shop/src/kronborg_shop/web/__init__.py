"""The shop's pages: a single-page web client in plain JavaScript, no build step."""
