"""The rules of the house that import-linter cannot say, checked on the source text itself.

Each test gathers every place that breaks its rule, so that one run shows all of them. The numbers
D1–D9 are those of docs/explanation/architecture.md.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from known_hosts import KNOWN_HOSTS, PRESET_HOSTS, SECRETS

ROOT = Path(__file__).parent.parent
SERVER = ROOT / "src" / "kronborg"
SDK = ROOT / "sdk" / "src"
SHOP = ROOT / "demo" / "shop" / "src"
SLICES = (
    *("core", "sessions", "audit", "accounts", "factors", "federation", "signin", "provisioning", "clients"),
    *("tokens", "api_keys", "oauth", "certificates", "limits", "teams", "products"),
    *("gateway", "fleet", "traffic", "metering", "billing", "portal"),
)

# How a file's name says which storey of its slice it belongs to; what is not named here is a verb.
NOUNS = {"model", "errors", "snapshot", "settings", "grant_details", "admission"}  # or <something>_model.py
STORE = {"store", "tables", "rows"}  # or <noun>_store.py
DOORS = {"api", "pages", "visits"}  # or <something>_api.py, <something>_pages.py; visits is a request's session
DOOR = 3
LINES_PER_FILE = 400
LINES_PER_FUNCTION = 50

QUERY_BUILDERS = {"select", "insert", "update", "delete", "text"}
RAW_SQL = re.compile(r"\s*(SELECT\s(?!1$)|INSERT INTO\s|DELETE FROM\s|UPDATE \w+ SET\s|WITH \w+ AS\s)")
WEB_FRAMEWORKS = {"starlette", "fastapi"}
CLOCK_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "date.today",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file, parsed."""

    path: Path
    code: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        """Where a node stands, as an editor understands it."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"

    @property
    def slice(self) -> str | None:
        """The slice that the file belongs to; None for composition roots, migrations, SDK and shop."""
        inside = self.path.relative_to(SERVER).parts if self.path.is_relative_to(SERVER) else ()
        return inside[0] if len(inside) > 1 and inside[0] in SLICES else None

    @property
    def part(self) -> str:
        """Its place in the slice: the file's name, or that of the folder directly below the slice."""
        inside = self.path.relative_to(SERVER).parts if self.path.is_relative_to(SERVER) else ()
        return inside[1].removesuffix(".py") if self.slice else ""


@cache
def sources(*folders: Path) -> tuple[Source, ...]:
    """Every Python file below the folders, without caches and Node packages."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if not {"node_modules", "__pycache__"} & set(path.parts):
                code = path.read_text(encoding="utf-8")
                found.append(Source(path, code, ast.parse(code, str(path))))
    return tuple(found)


def product() -> tuple[Source, ...]:
    return sources(SERVER, SDK, SHOP)


def everything() -> tuple[Source, ...]:
    return sources(SERVER, SDK, SHOP, ROOT / "tests", ROOT / "bench", ROOT / "docs")


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".removeprefix(".")
    return node.id if isinstance(node, ast.Name) else ""


def imports(source: Source) -> Iterator[tuple[ast.AST, str, str]]:
    """(node, module, name) for each import; the name is empty for `import module`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, ""
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield node, node.module or "", alias.name


def calls(source: Source) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)


def docstrings(tree: ast.Module) -> set[ast.AST]:
    """The constants that are documentation."""
    scopes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, scopes) and node.body and isinstance(node.body[0], ast.Expr)
    }


def may_hold_sql(source: Source) -> bool:
    return source.part in STORE or source.part.endswith("_store") or (SERVER / "migrations") in source.path.parents


def test_d1__inside_a_slice_imports_point_from_pages_to_verbs_to_store_to_model() -> None:
    # In core, which everything stands on, the database lies below the store instead.

    found = []
    for source in sources(SERVER):
        for node, module, name in imports(source):
            home = f"kronborg.{source.slice}"
            if source.slice in (None, "core") or not f"{module}.".startswith(f"{home}."):
                continue
            target = module.split(".")[2] if module != home else name
            here, there = rank_of(source.part), rank_of(target)
            # Within one rank files may import one another (a verb may use a verb, a page may use the api's parts).
            if there > here and source.part not in ("__init__", target):
                found.append(f"{source.at(node)} imports {home}.{target}")

    assert found == []


def rank_of(part: str) -> int:
    if part in DOORS or part.endswith(("_api", "_page", "_pages")):
        return DOOR
    if part in STORE or part.endswith("_store"):
        return 1
    return 0 if part in NOUNS or part.endswith("_model") else 2


def test_d1__a_slice_uses_no_relative_imports() -> None:
    found = [
        source.at(node)
        for source in product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]

    assert found == []


def test_d2__only_api_and_pages_know_the_web_framework() -> None:
    found = [
        f"{source.at(node)} imports {module}"
        for source in sources(SERVER)
        for node, module, _ in imports(source)
        if module.split(".")[0] in WEB_FRAMEWORKS and module != "starlette.types"  # names of ASGI's own types
        if source.slice not in (None, "core") and rank_of(source.part) != DOOR
    ]

    assert found == []


def test_d3__queries_are_built_only_in_stores_and_migrations() -> None:
    found = []
    for source in product():
        if may_hold_sql(source):
            continue
        for node, module, name in imports(source):
            if module.split(".")[0] == "sqlalchemy" and name in QUERY_BUILDERS:
                found.append(f"{source.at(node)} imports {name}")
        for call, name in calls(source):
            head, _, tail = name.rpartition(".")
            if head in ("sqlalchemy", "sa") and tail in QUERY_BUILDERS:
                found.append(f"{source.at(call)} calls {name}")

    assert found == []


def test_d3__sql_text_is_written_only_in_stores_and_migrations() -> None:
    # These run the statements of others, and of their own a few pragmas, locks and the readiness probe.
    runners = {SERVER / "core" / name for name in ("db.py", "migrate.py", "group_writer.py", "health.py")}

    found = [
        source.at(node)
        for source in sources(SERVER)
        if not may_hold_sql(source) and source.path not in runners
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and RAW_SQL.match(node.value)
        if node not in docstrings(source.tree)
    ]

    assert found == []


def test_d5__only_config_reads_the_environment() -> None:
    # The shop is a program of its own, with settings of its own.
    allowed = {SERVER / "config.py", SHOP / "kronborg_shop" / "run.py", SHOP / "kronborg_shop" / "settings.py"}

    found = [
        f"{source.at(node)} reads {dotted(node)}"
        for source in product()
        if source.path not in allowed
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and dotted(node) in ("os.environ", "os.getenv", "os.environb")
    ] + [
        f"{source.at(node)} imports {name}"
        for source in product()
        if source.path not in allowed
        for node, module, name in imports(source)
        if module == "os" and name in ("environ", "getenv", "environb")
    ]

    assert found == []


def test_d6__only_the_clock_asks_the_time() -> None:
    # A version 7 UUID holds the time for the sake of its order; nothing is decided by it.
    allowed = {SERVER / "core" / "clock.py", SERVER / "core" / "ids.py"}

    found = [
        f"{source.at(call)} calls {name}"
        for source in sources(SERVER)
        if source.path not in allowed
        for call, name in calls(source)
        if name in CLOCK_CALLS
    ]

    assert found == []


def test_d7__an_interface_has_at_least_two_implementations() -> None:
    classes = [(s, n) for s in sources(SERVER) for n in ast.walk(s.tree) if isinstance(n, ast.ClassDef)]
    bases = {
        id(n): {dotted(b.value if isinstance(b, ast.Subscript) else b).split(".")[-1] for b in n.bases}
        for _, n in classes
    }

    found = []
    for source, node in classes:
        if not bases[id(node)] & {"Protocol", "ABC"}:
            continue
        methods = [item.name for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))]
        implementations = [other for _, other in classes if node.name in bases[id(other)]]
        # A protocol with nothing but __call__ is the type of a function, not an interface.
        if methods != ["__call__"] and len(implementations) < 2:
            found.append(f"{source.at(node)} {node.name}")

    assert found == []


def test_d9__files_are_short() -> None:
    found = [
        f"{source.path.relative_to(ROOT)}: {count} lines"
        for source in everything()
        if (count := len(source.code.splitlines())) > LINES_PER_FILE
    ]

    assert found == []


def test_d9__functions_are_short() -> None:
    # Lines of its own: what a nested function holds counts there. Migrations are lists of columns, not logic.
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)

    found = []
    for source in everything():
        if (SERVER / "migrations") in source.path.parents:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, functions):
                inner = [n for n in ast.walk(node) if n is not node and isinstance(n, functions)]
                length = len(lines_of(node).difference(*(lines_of(n) for n in inner)))
                if length > LINES_PER_FUNCTION:
                    found.append(f"{source.at(node)} {node.name}: {length} lines")

    assert found == []


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def test_d9__each_module_says_what_it_owns() -> None:
    found = [
        str(source.path.relative_to(ROOT))
        for source in everything()
        if ast.get_docstring(source.tree) is None
        if source.code.strip() or source.path.is_relative_to(SERVER)
    ]

    assert found == []


def test_only_the_command_line_prints() -> None:
    found = [
        source.at(call)
        for source in product()
        if (SERVER / "cli") not in source.path.parents
        for call, name in calls(source)
        if name in ("print", "pprint")
    ]

    assert found == []


@pytest.mark.parametrize("silencer", [r"#\s*type:\s*ignore(?!\[)", r"#\s*noqa(?!:)", r"#\s*mypy:\s*ignore-errors"])
def test_a_silenced_warning_names_which(silencer: str) -> None:
    here = Path(__file__)

    found = [
        f"{source.path.relative_to(ROOT)}:{number}"
        for source in everything()
        if source.path != here
        for number, line in enumerate(source.code.splitlines(), 1)
        if re.search(silencer, line)
    ]

    assert found == []


def pages() -> list[Path]:
    """The HTML of the server and of the shop, but for letters: mail programs know no style sheets of ours."""
    folders = (SERVER, ROOT / "demo")
    return [
        p
        for folder in folders
        for p in sorted(folder.rglob("*.html"))
        if not {"node_modules", "letters"} & set(p.parts)
    ]


@pytest.mark.parametrize(
    "inline",
    [
        pytest.param(r"<script(?![^>]*\bsrc=)", id="script"),
        pytest.param(r"<style", id="style"),
        pytest.param(r"\sstyle\s*=", id="style-attribute"),
        pytest.param(r"<[^>]*\s(on[a-z]+|hx-on[:\w-]*)\s*=", id="handler"),
        pytest.param(r"javascript:", id="javascript-url"),
        pytest.param(r"\|\s*safe\b|autoescape\s+false", id="unescaped"),
    ],
)
def test_pages_hold_nothing_that_a_strict_csp_refuses(inline: str) -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in pages()
        if re.search(inline, path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]

    assert found == []


def test_the_product_names_no_foreign_host_and_carries_no_secret() -> None:
    suffixes = {".py", ".html", ".css", ".js", ".yaml", ".yml", ".json", ".toml"}
    files = [
        p for f in (SERVER, SDK, SHOP) for p in sorted(f.rglob("*")) if p.suffix in suffixes and ".min." not in p.name
    ]

    found = []
    for path in files:
        content = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(ROOT)}: {m.group()[:16]}…" for m in SECRETS.finditer(content)]
        for host in re.findall(r"\bhttps?://([\w.-]*[\w]|\[[0-9a-f:]+\])", content):
            if path == SERVER / "federation" / "presets.py" and PRESET_HOSTS.fullmatch(host):
                continue
            if not KNOWN_HOSTS.fullmatch(host) and "." in host:
                found.append(f"{path.relative_to(ROOT)}: {host}")

    assert found == []
