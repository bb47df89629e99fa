"""What is known of the guard's endpoint without loading it: where it is, and how large a question may be."""

from __future__ import annotations

from kronborg.gateway.content_model import LARGEST_CHECKED

PATH = "/guard"
LARGEST_HEAD = 131_072
"""Bytes in front of the body: the first line, claims and headers."""
LARGEST = LARGEST_CHECKED + LARGEST_HEAD
