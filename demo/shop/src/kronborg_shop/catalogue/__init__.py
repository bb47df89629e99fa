"""The catalogue: what the shop sells, and the shop's own web pages."""
