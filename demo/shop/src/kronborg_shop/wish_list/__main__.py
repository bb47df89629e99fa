"""`python -m kronborg_shop.wish_list --port 8096`."""

import argparse

from kronborg_shop.run import serve
from kronborg_shop.settings import add_flags, read_settings
from kronborg_shop.wish_list.main import build

parser = argparse.ArgumentParser(prog="python -m kronborg_shop.wish_list")
parser.add_argument("--port", type=int, default=8096)
parser.add_argument("--public-url", default="", help="where people reach this app; its /callback is registered")
add_flags(parser, client_id="wish-list")
arguments = parser.parse_args()
settings = read_settings(arguments)
settings.folder.mkdir(parents=True, exist_ok=True)
serve(build(settings, arguments.public_url or f"http://localhost:{arguments.port}"), arguments.port)
