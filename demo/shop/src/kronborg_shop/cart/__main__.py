"""`python -m kronborg_shop.cart`."""

from kronborg_shop.cart.main import build
from kronborg_shop.run import run

run("cart", build, client_id="shop-cart")
