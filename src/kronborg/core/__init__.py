"""What every capability stands on: database, secrets, events, clock, logs and the HTTP edge."""
