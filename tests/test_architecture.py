"""Who may import whom, and the house rules that no linter knows.

Reads the sources, imports none of them. Its tables are in `architecture.py`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.architecture import (
    DISTRIBUTIONS,
    LAYERS,
    MAY_CATCH_EVERYTHING,
    NOWHERE,
    ONLY_IN,
    STANDS_ALONE,
)

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tornado_auth"

WEAK = {"md5", "sha1", "uuid1", "uuid3", "uuid5", "getrandbits"}
SECRET = re.compile(
    r"(^|_)(token|secret|password|verifier|challenge|nonce|state|code|digest|hash|signature"
    r"|cookie|xsrf|csrf)s?$"
)


@dataclass(frozen=True)
class Import:
    """One imported name; `at_start` unless it stands in a function or is for types only."""

    name: str
    line: int
    at_start: bool


def unit_of(name: str) -> str:
    """Return the unit that the module with this name, relative to the package, belongs to."""
    first = name.partition(".")[0]
    if f"{name}.".startswith("oauth2.handlers."):
        return "oauth2.handlers"
    return "settings" if first.startswith("setting_") else first


@dataclass(frozen=True)
class Module:
    """A source file of the package; `name` is relative to it, "storage.sqlite"."""

    path: Path

    @property
    def name(self) -> str:
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)

    @property
    def unit(self) -> str:
        return unit_of(self.name)

    def is_in(self, names: set[str]) -> bool:
        return self.unit in names or self.name in names

    def where(self, line: int) -> str:
        return f"{self.path.relative_to(ROOT)}:{line}"

    def __str__(self) -> str:
        return self.name


def _modules() -> list[Module]:
    return [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]


@cache
def _tree(module: Module) -> ast.Module:
    return ast.parse(module.path.read_text(encoding="utf-8"))


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _at_start(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when the module is imported."""
    yield node
    for child in ast.iter_child_nodes(node):
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not inside and not _is_for_types(child):
            yield from _at_start(child)


def _names(node: ast.AST, module: Module) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module.where(node.lineno)}: a relative import"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@cache
def _imports(module: Module) -> list[Import]:
    at_start = set(_at_start(_tree(module)))
    return [
        Import(name, node.lineno, node in at_start)
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _names(node, module)
    ]


def _is_own(name: str) -> bool:
    return name.startswith("tornado_auth.") and not name.endswith(".__version__")


def _own(name: str) -> str:
    """Return the unit that an imported name of ours belongs to."""
    return unit_of(name.removeprefix("tornado_auth."))


def _layer(unit: str) -> int:
    return next((number for number, units in enumerate(LAYERS) if unit in units), -1)


MODULES = _modules()
UNITS = {module.unit for module in MODULES} - {"__init__"}
every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def test_every_module_has_its_layer() -> None:
    assert UNITS - set().union(*LAYERS) == set(), "give it a layer in LAYERS"


def test_the_table_of_layers_names_nothing_twice_and_nothing_that_is_gone() -> None:
    named = [unit for units in LAYERS for unit in units]
    assert sorted(named) == sorted(UNITS)


@every_module
def test_imports_go_only_to_lower_layers(module: Module) -> None:
    wrong = [
        f"{module.where(line.line)}: {line.name}"
        for line in _imports(module)
        if _is_own(line.name)
        and _own(line.name) != module.unit
        and (module.unit in STANDS_ALONE or _layer(_own(line.name)) >= _layer(module.unit))
    ]
    assert wrong == []


def _imported_modules(module: Module) -> set[str]:
    known = {other.name for other in MODULES}
    names = {line.name for line in _imports(module) if line.at_start and _is_own(line.name)}
    relative = {name.removeprefix("tornado_auth.") for name in names}
    parents = {name.rpartition(".")[0] for name in relative}
    return {name for name in relative | parents if name in known and name != module.name}


def test_no_modules_import_each_other_in_a_circle() -> None:
    waiting = {module.name: _imported_modules(module) for module in MODULES}
    while ready := [name for name, needed in waiting.items() if not needed & waiting.keys()]:
        for name in ready:
            del waiting[name]
    assert waiting == {}


@every_module
def test_a_library_is_imported_only_where_it_is_at_home(module: Module) -> None:
    wrong = [
        f"{module.where(line.line)}: {line.name}"
        for line in _imports(module)
        for library, homes in [*ONLY_IN.items(), *((name, set()) for name in NOWHERE)]
        if f"{line.name}.".startswith(f"{library}.") and not module.is_in(homes)
    ]
    assert wrong == []


def _declared() -> set[str]:
    source = (ROOT / "setup.py").read_text(encoding="utf-8")
    requirements = ast.literal_eval(source.split("INSTALL_REQUIRES = ")[1].split("\n\n")[0])
    return {re.split(r"[\[<>=;]", requirement)[0] for requirement in requirements}


def _libraries() -> set[str]:
    names = {line.name.partition(".")[0] for module in MODULES for line in _imports(module)}
    names |= {  # a package that is read as data
        node.value
        for module in MODULES
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Constant) and node.value in DISTRIBUTIONS
    }
    outside = names - set(sys.stdlib_module_names) - {"tornado_auth", "pytest"}
    return {DISTRIBUTIONS.get(name, name) for name in outside}


def test_setup_declares_what_is_imported_and_nothing_else() -> None:
    assert _declared() == _libraries()


@every_module
def test_randomness_and_digests_are_of_the_strong_kind(module: Module) -> None:  # S151
    weak = [
        module.where(node.lineno)
        for node in ast.walk(_tree(module))
        if (isinstance(node, ast.Attribute) and node.attr in WEAK)
        or (isinstance(node, ast.Name) and node.id in WEAK)
        or (isinstance(node, ast.Constant) and node.value in ("md5", "sha1"))
    ] + [
        module.where(line.line)
        for line in _imports(module)
        if line.name.rpartition(".")[2] in WEAK | {"SHA1", "MD5"}
    ]
    assert weak == []


def _looks_secret(node: ast.expr) -> bool:
    while isinstance(node, ast.Call | ast.Await | ast.Subscript):
        if isinstance(node, ast.Subscript):
            key = node.slice.value if isinstance(node.slice, ast.Constant) else ""
            if SECRET.search(str(key)):
                return True
        node = node.func if isinstance(node, ast.Call) else node.value
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return bool(SECRET.search(name.lower()))


def _whole(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        node = node.value
    return ast.unparse(node)


def compares_secret(node: ast.AST) -> bool:
    """Tell whether `==` or `!=` compares what looks like a secret with another variable."""
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    return (
        any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        and any(_looks_secret(side) for side in sides)
        and not any(isinstance(side, ast.Constant) for side in sides)
        and len({_whole(side) for side in sides}) > 1
    )


@every_module
def test_secrets_are_not_compared_with_equals(module: Module) -> None:  # S151
    found = [
        f"{module.where(node.lineno)}: {ast.unparse(node)}"
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.expr) and compares_secret(node)
    ]
    assert found == [], "use hmac.compare_digest"


@pytest.mark.parametrize(
    "expression",
    [
        "given == self.client_secret",
        "token != other",
        "a == claims['nonce']",
        "digest(x) == stored",
        "x == record.code_hash",
        "self.get_cookie() == y",
    ],
)
def test_a_comparison_of_secrets_is_recognised(expression: str) -> None:
    assert compares_secret(ast.parse(expression, mode="eval").body)


@pytest.mark.parametrize(
    "expression",
    ["token == ''", "version == other", "hmac.compare_digest(token, other)", "token[1:] == token"],
)
def test_other_comparisons_are_let_be(expression: str) -> None:
    assert not compares_secret(ast.parse(expression, mode="eval").body)


@every_module
def test_nothing_is_read_from_the_environment_at_import(module: Module) -> None:
    read = [
        module.where(node.lineno)
        for node in _at_start(_tree(module))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.Name) and node.id in ("environ", "getenv"))
    ]
    assert read == []


@every_module
def test_everything_is_caught_only_where_foreign_code_runs(module: Module) -> None:
    caught = [
        module.where(node.lineno)
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and ast.unparse(node.body[-1]) != "raise"
    ]
    assert caught == [] or module.unit in MAY_CATCH_EVERYTHING


@every_module
def test_a_function_fits_on_a_screen(module: Module) -> None:
    long = [
        f"{module.where(node.lineno)}: {node.name}"
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= 40
    ]
    assert long == []


def _public(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from _public(child)


@every_module
def test_every_public_name_is_documented(module: Module) -> None:
    assert ast.get_docstring(_tree(module)), "say what the module owns and what it never does"
    assert [node.name for node in _public(_tree(module)) if not ast.get_docstring(node)] == []


def _sources() -> list[Path]:
    folders = (PACKAGE, ROOT / "bench", ROOT / "tests", ROOT / "examples")
    found = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [ROOT / "setup.py", *(path for path in found if "node_modules" not in path.parts)]


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
