"""Imports every slice's tables, so that migrations can be compared with all of them."""

import importlib
import pkgutil

import kronborg

for _slice in pkgutil.iter_modules(kronborg.__path__):
    if _slice.ispkg:
        _package = importlib.import_module(f"kronborg.{_slice.name}")
        for _module in pkgutil.iter_modules(_package.__path__):
            if _module.name == "store" or _module.name.endswith("_store"):
                importlib.import_module(f"kronborg.{_slice.name}.{_module.name}")
