"""A wish list by somebody else: a third-party web application that must ask for consent.

It is a confidential client with a server side: tokens stay on the server, the browser holds a session cookie only.
"""
