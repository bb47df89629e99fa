"""How the HTTP and config edges read the values inside a route or a service."""

EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""Unknown names are errors; the docstrings of fields are the manual."""
