"""The cart: what somebody is about to buy, and the orders they placed."""
