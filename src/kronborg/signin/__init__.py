"""How people prove who they are: passwords, throttling, sessions, and the pages for all of it."""
