"""The inventory: how many pieces there are, and which are promised to an order."""
