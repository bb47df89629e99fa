"""`python -m kronborg_shop.catalogue`."""

from kronborg_shop.catalogue.main import build
from kronborg_shop.run import run

run("catalogue", build)
