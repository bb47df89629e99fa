"""The authorization server as browsers meet it; the routes are gathered in `authorize_api.py`."""
