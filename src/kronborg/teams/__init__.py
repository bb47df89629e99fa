"""Teams of developers: who belongs to them, which apps (OAuth clients) are theirs, and who pays."""
