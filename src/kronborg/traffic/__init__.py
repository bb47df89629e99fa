"""What passed: access records, their search, the dashboard, the attack surface, alerts, and what-if."""
