"""A clock that tests put wrong for the processes they start, Envoy too, whatever those are doing."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
_SECONDS = struct.Struct("l")


class ShiftedClock:
    """Right until it is shifted."""

    def __init__(self, folder: Path) -> None:
        self._library, self._file = folder / "shifted_clock.so", folder / "shifted_clock.seconds"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self._library, SOURCE], check=True)
        self._file.write_bytes(_SECONDS.pack(0))

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process is started with that goes by this clock."""
        return {**os.environ, "LD_PRELOAD": str(self._library), "SHIFTED_CLOCK": str(self._file)}

    def shift(self, by: timedelta = timedelta()) -> None:
        """From now on it is wrong by so much."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(_SECONDS.pack(int(by.total_seconds())))
