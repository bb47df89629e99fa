"""The nightly batch job: looks for products that run low and restocks them, through the gateway.

A confidential client on its own behalf (client credentials). Exit codes: 0 all well · 1 some products could not be
restocked · 2 wrong usage · 3 no token · 4 the gateway does not answer or refuses.
"""

import argparse
import sys
from dataclasses import dataclass

import httpx

from kronborg_sdk import TokenRequestFailed
from kronborg_shop.products import BY_ID
from kronborg_shop.settings import add_flags, read_settings

OK, SOME_FAILED, USAGE, NO_TOKEN, NO_GATEWAY = range(5)


@dataclass(frozen=True, slots=True)
class Restocked:
    """What became of one product."""

    product_id: str
    before: int
    after: int | None


class Refused(Exception):
    """The gateway or the inventory said no to reading the stock."""


def restock(http: httpx.Client, *, below: int, up_to: int) -> list[Restocked]:
    """Bring every product with fewer than `below` pieces up to `up_to`. Raises `Refused`, `httpx.HTTPError`."""
    answer = http.get("/inventory/stock", params={"below": below})
    if answer.status_code != 200:
        raise Refused(f"reading the stock was answered with {answer.status_code}")
    done = []
    for item in answer.json()["items"]:
        product_id, before = item["product_id"], item["available"]
        order = {"quantity": up_to - before}
        put = http.post(f"/inventory/stock/{product_id}/restock", json=order)
        after = put.json()["available"] if put.status_code == 200 else None
        done.append(Restocked(product_id, before, after))
    return done


def report(done: list[Restocked]) -> str:
    """A table for people."""
    if not done:
        return "Nothing runs low.\n"
    lines = [f"{'product':<28}{'before':>8}{'after':>8}"]
    for entry in done:
        name = BY_ID[entry.product_id].name if entry.product_id in BY_ID else entry.product_id
        lines.append(f"{name:<28}{entry.before:>8}{'failed' if entry.after is None else entry.after:>8}")
    failed = sum(entry.after is None for entry in done)
    lines.append(f"{len(done) - failed} restocked, {failed} failed")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Run once; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m kronborg_shop.batch", description=__doc__)
    parser.add_argument("--below", type=int, default=8, help="restock products with fewer pieces (default 8)")
    parser.add_argument("--up-to", type=int, default=20, help="to this many pieces (default 20)")
    add_flags(parser, client_id="shop-batch")
    arguments = parser.parse_args(argv)
    settings = read_settings(arguments)
    if settings.client_secret_file is None or not 0 < arguments.below <= arguments.up_to <= 500:
        sys.stderr.write("a client secret file is needed, and 0 < below <= up-to <= 500\n")
        return USAGE
    auth = settings.credentials("inventory", "inventory:read inventory:write")
    try:
        with httpx.Client(base_url=settings.gateway_url, auth=auth, timeout=10.0) as http:
            done = restock(http, below=arguments.below, up_to=arguments.up_to)
    except (TokenRequestFailed, OSError) as error:
        sys.stderr.write(f"no token: {error}\n")
        return NO_TOKEN
    except (httpx.HTTPError, Refused) as error:
        sys.stderr.write(f"the gateway did not do it: {error or type(error).__name__}\n")
        return NO_GATEWAY
    sys.stdout.write(report(done))
    return SOME_FAILED if any(entry.after is None for entry in done) else OK


if __name__ == "__main__":
    sys.exit(main())
