"""The examples of the SDK's README run."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "sdk" / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number: int) -> None:
    scope: dict[str, object] = {}

    exec(compile(EXAMPLES[number], f"README example {number + 1}", "exec"), scope)

    assert scope.keys() & {"app", "http", "headers"}
