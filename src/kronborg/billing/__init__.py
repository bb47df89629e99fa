"""Money: invoices, credits, payments, and what an unpaid one does."""
