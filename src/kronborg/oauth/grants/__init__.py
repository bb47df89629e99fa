"""The grants of the token endpoint: each only fills in what is unique to it."""
