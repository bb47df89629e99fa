"""`python -m kronborg_shop.delivery`."""

from kronborg_shop.delivery.main import build
from kronborg_shop.run import run

run("delivery", build)
