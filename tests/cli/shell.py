"""Runs commands of `kronborg` in one folder and tells what came of them."""

from __future__ import annotations

import io
import json
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kronborg.cli import main


@dataclass
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Shell:
    """Runs `kronborg` in one folder: in this process, because a start of Python for each command takes seconds."""

    folder: Path

    def run(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """What a command prints on standard output; its exit code must be `code`."""
        done = self.attempt(*arguments, stdin=stdin)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def attempt(self, *arguments: str, stdin: str = "", **environ: str) -> Done:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), chdir(self.folder):
            patch.setattr(sys, "argv", ["kronborg", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            for name, value in environ.items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return Done(code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json"))
