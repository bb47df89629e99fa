"""How much may pass: quotas, their windows and counters, leases, and who is over."""
