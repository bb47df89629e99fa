"""The audit log: its chain, its checkpoints, its export, and webhooks."""
