"""The shop as tools for an assistant: a Model Context Protocol server. Who may call it, the gateway decides."""
