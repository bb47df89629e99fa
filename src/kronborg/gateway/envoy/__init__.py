"""The translation of a snapshot into Envoy's files: pure functions, equal input gives equal bytes."""
