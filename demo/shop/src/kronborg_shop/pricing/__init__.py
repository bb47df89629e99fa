"""The pricing service: what an order costs, discounts included."""
