"""Many gateways: nodes, how they join and prove who they are, what each runs, and how far it is behind."""
