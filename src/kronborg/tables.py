"""Imports every slice's tables, so that migrations can be compared with all of them."""

import importlib
import pkgutil

import kronborg

for _slice in pkgutil.iter_modules(kronborg.__path__):
    if _slice.ispkg:
        try:
            importlib.import_module(f"kronborg.{_slice.name}.store")
        except ModuleNotFoundError as missing:
            if missing.name != f"kronborg.{_slice.name}.store":
                raise
