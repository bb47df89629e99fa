"""People and groups: who exists, how they are named, which roles they have. How they prove it is `signin`."""
