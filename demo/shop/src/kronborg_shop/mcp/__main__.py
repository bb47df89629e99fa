"""`python -m kronborg_shop.mcp --port 8097`."""

import argparse

from kronborg_shop.mcp.main import build
from kronborg_shop.mcp.shop import Shop
from kronborg_shop.run import serve
from kronborg_shop.settings import add_flags, read_settings

parser = argparse.ArgumentParser(prog="python -m kronborg_shop.mcp")
parser.add_argument("--port", type=int, default=8097)
add_flags(parser, client_id="shop-mcp")
arguments = parser.parse_args()
serve(build(Shop.from_settings(read_settings(arguments))), arguments.port)
