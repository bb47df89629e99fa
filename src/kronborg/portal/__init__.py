"""The developers' door: catalogue, reference, apps, subscriptions, usage and invoices of their own teams."""
