"""Second factors, passkeys and the journey behind the sign-in page."""
