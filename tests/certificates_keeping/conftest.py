"""The console and the admin API, as their own tests have them."""

from __future__ import annotations

from admin.conftest import admin
from console.conftest import console

__all__ = ["admin", "console"]
