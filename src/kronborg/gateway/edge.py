"""Moved to `edge_model`."""

from kronborg.gateway.edge_model import EDGE

__all__ = ["EDGE"]
