"""The path that the gateway decides on, of the path that was sent: the same as Envoy's normalisation makes of it."""

from __future__ import annotations

import re
from urllib.parse import quote

_UNRESERVED = re.compile(r"%(?:2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")
_ESCAPED_SLASH = re.compile(r"%(?:2[fF]|5[cC])")
_SLASHES = re.compile(r"//+")
_ODD = re.compile(r"[\x00-\x20\x7f-\U0010ffff]")
_KEPT = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"<>`{}')


def normal_path(sent: str) -> str | None:
    """The path without its query in normal form; None where Envoy refuses the request with 400 for it."""
    path, _, _ = sent.partition("?")
    if not path.startswith("/") or "#" in sent or _ODD.search(sent) or _ESCAPED_SLASH.search(path):
        return None
    decoded = _UNRESERVED.sub(lambda found: chr(int(found[0][1:], 16)), path.replace("\\", "/"))
    kept: list[str] = []
    parts = decoded.split("/")[1:]
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == ".." and kept:
            kept.pop()
        if part in (".", ".."):
            if last:
                kept.append("")
            continue
        kept.append(part)
    return _SLASHES.sub("/", "/" + "/".join(quote(part, safe=_KEPT) for part in kept))
