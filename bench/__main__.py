"""`python -m bench`: measure tokens and gateway, print tables and bars, write JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from bench import tokens


def main() -> int:
    """0 when every bar is met, 1 otherwise."""
    options = argparse.ArgumentParser(prog="python -m bench", description="Measure Kronborg against its floors.")
    options.add_argument("--quick", action="store_true", help="short rounds: a look, not a proof")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    options.add_argument(
        "--store", choices=("big", "small"), help="20,000 clients and users and 1,000,000 tokens, or next to nothing"
    )
    options.add_argument("--only", choices=("tokens", "gateway"), help="one part only")
    chosen = options.parse_args()

    out: dict[str, object] = {"python": platform.python_version(), "machine": platform.machine()}
    met = True
    if chosen.only != "gateway":
        big = chosen.store == "big" or (chosen.store is None and not chosen.quick)
        figures, bars = tokens.run(quick=chosen.quick, big=big)
        met &= _show(figures, bars)
        out["tokens"] = {"figures": [asdict(f) for f in figures], "bars": [asdict(b) | {"met": b.met} for b in bars]}
    if chosen.only != "tokens":
        gateway = importlib.import_module("bench.gateway").run(quick=chosen.quick)
        out["gateway"] = gateway
        met &= bool(gateway["met"])
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")
    return 0 if met else 1


def _show(figures: list[tokens.Figure], bars: list[tokens.Bar]) -> bool:
    print(f"{'':32}{'per second':>12}{'CPU µs':>10}{'failures':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for figure in figures:
        late = "" if figure.latency is None else f"{figure.latency.p50:10.1f}{figure.latency.p99:10.1f}"
        print(f"{figure.name:32}{figure.rate:12.0f}{figure.micros:10.0f}{figure.failures:10}{late}")
    print()
    for bar in bars:
        sign = "≤" if bar.at_most else "≥"
        print(f"{'ok  ' if bar.met else 'MISS'} {bar.name:60}{bar.value:6.2f} {sign} {bar.limit}")
    return all(bar.met for bar in bars) and not any(figure.failures for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
