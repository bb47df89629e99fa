"""`python -m kronborg_shop.inventory`."""

from kronborg_shop.inventory.main import build
from kronborg_shop.run import run

run("inventory", build)
