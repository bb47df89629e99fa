"""People who come from elsewhere: SCIM, and import."""
