"""The demo shop: five microservices and their clients, protected only by the SDK."""
