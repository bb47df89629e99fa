"""Product pictures: a drawing in three colours, no photographs and no external images.

The drawings are SVG files in `drawings/`, in which MAIN, ACCENT and GROUND stand for the product's colours.
"""

from pathlib import Path

from kronborg_shop.products import Product

DRAWINGS = Path(__file__).parent / "drawings"


def draw(product: Product) -> str:
    """The picture of a product as a complete SVG document."""
    text = (DRAWINGS / f"{product.shape}.svg").read_text()
    for word, colour in zip(("MAIN", "ACCENT", "GROUND"), product.colours, strict=True):
        text = text.replace(word, colour)
    return text
