"""What a process of the shop is told at its start, by flags or by environment."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from kronborg_sdk import ClientCredentials

PORTS = {"catalogue": 8091, "inventory": 8092, "pricing": 8093, "cart": 8094, "delivery": 8095}


def audience_of(service: str) -> str:
    """The identifier by which tokens for `service` are asked (RFC 8707) and recognised."""
    return f"https://shop.example/{service}"


@dataclass(frozen=True, slots=True)
class Settings:
    """One process's settings. `client_secret_file` is read when a token is asked, so it may be rotated."""

    issuer: str = "http://localhost:8081"
    gateway_url: str = "http://localhost:8080"
    folder: Path = Path(".kronborg/shop")
    client_id: str = ""
    client_secret_file: Path | None = None
    inventory_url: str = "http://127.0.0.1:8092"
    pricing_url: str = "http://127.0.0.1:8093"
    delivery_url: str = "http://127.0.0.1:8095"

    def client_secret(self) -> str:
        """The secret of `client_id`, without the line's end."""
        if self.client_secret_file is None:
            raise ValueError("SHOP_CLIENT_SECRET_FILE is not set")
        return self.client_secret_file.read_text().strip()

    def credentials(self, service: str, scope: str) -> ClientCredentials:
        """Tokens of this process itself, for one other service."""
        return ClientCredentials(
            f"{self.issuer}/oauth/token",
            self.client_id,
            self.client_secret,
            scope=scope,
            resource=audience_of(service),
        )


DEFAULTS = Settings()


def add_flags(parser: argparse.ArgumentParser, *, client_id: str = "") -> None:
    """Declare the flags; each has an environment variable of the same meaning as its default."""
    flags = {
        "--issuer": ("SHOP_ISSUER", DEFAULTS.issuer, "who issues the tokens"),
        "--gateway-url": ("SHOP_GATEWAY_URL", DEFAULTS.gateway_url, "where people reach the shop"),
        "--data": ("SHOP_DATA", str(DEFAULTS.folder), "folder for this shop's databases"),
        "--client-id": ("SHOP_CLIENT_ID", client_id, "client id of this process, for calls of its own"),
        "--client-secret-file": ("SHOP_CLIENT_SECRET_FILE", "", "file that holds the client secret"),
        "--inventory-url": ("SHOP_INVENTORY_URL", DEFAULTS.inventory_url, "the inventory service"),
        "--pricing-url": ("SHOP_PRICING_URL", DEFAULTS.pricing_url, "the pricing service"),
        "--delivery-url": ("SHOP_DELIVERY_URL", DEFAULTS.delivery_url, "the delivery service"),
    }
    for flag, (variable, default, text) in flags.items():
        parser.add_argument(flag, default=os.environ.get(variable, default), help=f"{text} [{variable}]")


def read_settings(arguments: argparse.Namespace) -> Settings:
    """The settings that parsed flags describe."""
    secret_file: str = arguments.client_secret_file
    return Settings(
        issuer=arguments.issuer.rstrip("/"),
        gateway_url=arguments.gateway_url.rstrip("/"),
        folder=Path(arguments.data),
        client_id=arguments.client_id,
        client_secret_file=Path(secret_file) if secret_file else None,
        inventory_url=arguments.inventory_url.rstrip("/"),
        pricing_url=arguments.pricing_url.rstrip("/"),
        delivery_url=arguments.delivery_url.rstrip("/"),
    )
