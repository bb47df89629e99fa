"""What was used: hours of usage by subscription and route, corrections, and whether the gateway counted the same."""
