"""The house's own rules: rooms, sizes, exports."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "trimtab"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)
ROOMS = sorted(
    ".".join(path.parent.relative_to(SOURCE).parts)
    for path in MODULES
    if path.name == "__init__.py" and path.parent != SOURCE
)
MOST_MODULE_LINES = 600
MOST_FUNCTION_LINES = 60
NO_NOUNS = re.compile(r"(utils?|helpers?|common|misc|manager)")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{path}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_say_what_they_are_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
    assert not NO_NOUNS.fullmatch(path.stem), f"{path} is named by no noun"


def test_no_room_is_nested_deeper_than_two_below_the_house():
    assert all(len(path.relative_to(SOURCE).parts) <= 3 for path in MODULES)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_what_it_gives_to_others(room):
    module = importlib.import_module(f"trimtab.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nobody_imports_another_rooms_private_module(path):
    own = path.relative_to(SOURCE).parts[0]
    allowed = {"trimtab.core.errors", "trimtab.core.money"}
    for name in imported_modules(path):
        parts = name.split(".")
        # Each of the app's modules is a command's own heavy part.
        of_the_app = own == "cli" and parts[1:2] == ["app"]
        is_room = ".".join(parts[1:]) in ROOMS
        if parts[0] == "trimtab" and len(parts) > 2 and parts[1] != own and not (of_the_app or is_room):
            assert name in allowed, f"{path} imports {name}"
