"""What is sold: API products, plans with their limits and prices, and who has subscribed to what."""
