"""What pydantic finds in an input, as a person would say it."""

from __future__ import annotations

from pydantic_core import ErrorDetails


def said(error: ErrorDetails) -> str:
    """What is wrong with a value; after a semicolon, what to write."""
    context = error.get("ctx", {})
    match error["type"]:
        case "string_type":
            return "must be text; put it in quotes"
        case "bool_type":
            return "must be true or false"
        case "int_type":
            return "must be a whole number"
        case "tuple_type":
            return "must be a list; write [one, two]"
        case "dict_type" | "model_type" | "model_attributes_type" | "dataclass_type" | "mapping_type":
            return "must be a mapping; write its keys below it"
        case "literal_error":
            return f"is not one of the known values; use {context.get('expected', '')}"
        case "string_pattern_mismatch":
            return f"is not well-formed; it must match {context.get('pattern', '')}"
        case "string_too_long" | "too_long":
            return f"is too long; at most {context.get('max_length', '')}"
        case "string_too_short" | "too_short":
            return "is empty; write something, or drop the key"
        case "greater_than_equal" | "less_than_equal":
            bound = "at least" if "ge" in context else "at most"
            return f"is out of range; {bound} {context.get('ge', context.get('le', ''))}"
        case _:
            return error["msg"]
