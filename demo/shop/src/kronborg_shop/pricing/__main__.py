"""`python -m kronborg_shop.pricing`."""

from kronborg_shop.pricing.main import build
from kronborg_shop.run import run

run("pricing", build)
