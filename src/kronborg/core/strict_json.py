"""The strict reading of JSON by its older name; it is in `core/json.py`."""

from kronborg.core.json import NotJson, read_json

__all__ = ["NotJson", "read_json"]
