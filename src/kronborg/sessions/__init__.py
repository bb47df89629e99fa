"""Who is here: browsers that are signed in, and the way to sign-in and back."""
