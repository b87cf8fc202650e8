"""The arrows of the house, read from every import, and what may not be called anywhere in it.

training -> recommender <- serving
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("recommender", "training", "serving")
MODULES = sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

SQL = {"apsw", "sqlite3", "duckdb", "psycopg"}
UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
HTTP = {"fastapi", "starlette", "uvicorn", "httpx"}


def imports(tree: ast.AST) -> Iterator[str]:
    """The full name of everything imported, also within functions and under conditions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def may_speak_sql(module: str) -> bool:
    """DuckDB reads Parquet files for the importer; nothing else in training knows an engine."""
    return module.startswith(("recommender/stores/", "training/importers", "training/files"))


def forbidden(module: str) -> set[str]:
    """The top-level packages that a module must not import."""
    package = module.split("/", maxsplit=1)[0]
    wrong = {"recommender": {"training", "serving"}, "training": {"serving"}, "serving": {"training"}}[package]
    wrong = wrong | UNPICKLING | {"murmeli", "tests"}
    if package != "serving":
        wrong |= HTTP
    if package != "training":
        wrong |= {"implicit"}
    if not may_speak_sql(module):
        wrong |= SQL
    return wrong


def bad_imports(module: str, source: str) -> list[str]:
    found = list(imports(ast.parse(source)))
    return [name for name in found if name.split(".")[0] in forbidden(module) or name.startswith(".")]


def bad_calls(source: str) -> list[str]:
    """Calls that run code out of data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            pickled = [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
            if name in {"eval", "exec", "compile", "__import__"} or name.endswith(
                ("joblib.load", "pickle.load", "pickle.loads")
            ):
                found.append(name)
            elif pickled:
                found.append(f"{name}(allow_pickle=...)")
    return found


def actions(body: list[ast.stmt]) -> list[str]:
    """Statements that do something while a module is imported: a bare call, a loop, a with."""
    acting = (ast.For, ast.While, ast.With, ast.Try)
    found = [node for node in body if isinstance(node, acting) or _is_call(node)]
    return [ast.unparse(node)[:60] for node in found]


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def test_there_is_a_house_to_look_at() -> None:
    assert {"recommender/profile.py", "recommender/bundle.py", "training/dataset.py"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_the_arrows_point_to_the_core_and_nothing_unpickles(module: str) -> None:
    source = (ROOT / module).read_text(encoding="utf-8")
    assert bad_imports(module, source) == []
    assert bad_calls(source) == []


@pytest.mark.parametrize("module", MODULES)
def test_nothing_happens_at_import(module: str) -> None:
    assert actions(ast.parse((ROOT / module).read_text(encoding="utf-8")).body) == []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("recommender/profile.py", "import serving.app"),
        ("recommender/profile.py", "from training import dataset"),
        ("recommender/model.py", "def load():\n    from training.pipeline import train"),
        ("recommender/registry.py", "if True:\n    import sqlite3"),
        ("recommender/recommender.py", "import fastapi"),
        ("recommender/sources/factors.py", "from implicit.als import AlternatingLeastSquares"),
        ("training/pipeline.py", "from serving import bootstrap"),
        ("training/dataset.py", "import duckdb"),
        ("serving/app.py", "from training.pipeline import train"),
        ("serving/app.py", "import apsw"),
        ("serving/live_model.py", "import implicit"),
        ("recommender/bundle.py", "import pickle"),
        ("training/fit/factors.py", "from joblib import load"),
        ("recommender/bundle.py", "from . import types"),
    ],
)
def test_a_planted_import_is_seen(module: str, planted: str) -> None:
    assert bad_imports(module, planted) != []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("recommender/stores/sqlite.py", "import apsw"),
        ("training/importers.py", "import duckdb"),
        ("training/fit/factors.py", "import implicit"),
        ("serving/app.py", "from recommender.model import Model"),
    ],
)
def test_what_is_allowed_passes(module: str, planted: str) -> None:
    assert bad_imports(module, planted) == []


@pytest.mark.parametrize(
    "planted",
    [
        "eval('1')",
        "def f():\n    exec(text)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "joblib.load(path)",
        "pickle.loads(data)",
    ],
)
def test_a_planted_call_is_seen(planted: str) -> None:
    assert bad_calls(planted) != []


@pytest.mark.parametrize("planted", ["connect()", "for i in range(3):\n    pass", "with lock:\n    pass"])
def test_a_planted_action_at_import_is_seen(planted: str) -> None:
    assert actions(ast.parse(planted).body) != []


def test_safe_calls_pass() -> None:
    assert bad_calls("np.load(path, allow_pickle=False)\nre.compile('a')") == []
