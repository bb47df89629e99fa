"""The gateway: what is protected, how it is published, and how Envoy is told."""
