"""The delivery service: slots, bookings and tracking."""
