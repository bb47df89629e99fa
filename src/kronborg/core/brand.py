"""How an installation looks: its name, its colour, its logo.

The one colour a brand gives is turned into the few that the style sheet needs, with enough contrast in
light and in dark (WCAG 2.2 §1.4.3 asks for 4.5:1), so that no choice of colour makes a button unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kronborg.core.errors import Problem

LIGHT_SURFACE = (255, 255, 255)
DARK_SURFACE = (21, 28, 27)
CONTRAST = 4.6
MAX_CSS = 32 * 1024
MAX_PICTURE = 256 * 1024
PICTURES = (".svg", ".png", ".webp")

Rgb = tuple[int, int, int]
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Brand:
    """`colour` is `#rrggbb` (None: our own); `logo` is an SVG, PNG or WebP file shown in place of our mark.

    `css` is a style sheet of at most `MAX_CSS` bytes that comes after ours; `icon` stands in the browser's tab.
    """

    name: str = "Kronborg"
    colour: str | None = None
    logo: Path | None = None
    css: Path | None = None
    icon: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what would not be a colour: it is written into a style sheet."""
        if self.colour is not None and not _HEX.fullmatch(self.colour):
            raise ValueError("a brand colour is written #rrggbb")


def brand_problems(brand: Brand) -> Iterator[Problem]:
    """What is wrong with the files of a brand: they go out with every page, so they are bounded."""
    files = (("logo", brand.logo, PICTURES, MAX_PICTURE), ("icon", brand.icon, PICTURES, MAX_PICTURE))
    for name, path, kinds, most in (*files, ("css", brand.css, (".css",), MAX_CSS)):
        where = f"server.brand.{name}"
        if path is None:
            continue
        if path.suffix.lower() not in kinds:
            yield Problem(where, f"is no file of type {', '.join(kinds)}", "give one of these")
        elif not path.is_file():
            yield Problem(where, "is no file", "give it relative to the document")
        elif path.stat().st_size > most:
            yield Problem(where, f"is larger than {most // 1024} KiB", "every page loads it: make it smaller")


def style_sheet(brand: Brand) -> str:
    """The custom properties that differ from the design system's own; empty without a colour."""
    if brand.colour is None:
        return "/* no brand colour is set */\n"
    given = _parse(brand.colour)
    light = _until(given, LIGHT_SURFACE, _darker)
    dark = _until(given, DARK_SURFACE, _lighter)
    return (
        f":root{{{_rules(light, _darker(light))}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{_rules(dark, _lighter(dark))}}}}}\n"
    )


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _rules(colour: Rgb, strong: Rgb) -> str:
    on = max(((255, 255, 255), (12, 20, 18)), key=lambda ink: contrast(ink, colour))
    return f"--brand:{_hex(colour)};--brand-strong:{_hex(strong)};--on-brand:{_hex(on)}"


def _until(colour: Rgb, surface: Rgb, step: Callable[[Rgb], Rgb]) -> Rgb:
    for _ in range(40):
        if contrast(colour, surface) >= CONTRAST:
            break
        colour = step(colour)
    return colour


def _darker(colour: Rgb) -> Rgb:
    return _mix(colour, (0, 0, 0))


def _lighter(colour: Rgb) -> Rgb:
    return _mix(colour, (255, 255, 255))


def _mix(colour: Rgb, other: Rgb) -> Rgb:
    red, green, blue = (round(a + (b - a) * 0.14) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _luminance(colour: Rgb) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _parse(text: str) -> Rgb:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
